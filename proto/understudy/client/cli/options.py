"""Options that several commands have, written once.

The types are spelled with `Optional`, and outside of annotations, because typer evaluates them on Python
3.9 too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Optional

import typer

from understudy.client import specs
from understudy.client.errors import Refused
from understudy.client.frames import DIALECTS, parse
from understudy.client.session import Session
from understudy.client.specs import Plate, UserMatte
from understudy.v1.recipe_pb2 import Recipe

Text = Optional[str]
Texts = Optional[list[str]]
Whole = Optional[int]
Wholes = Optional[list[int]]
Real = Optional[float]

Frames = Annotated[
    Text,
    typer.Option("--frames", metavar="RANGE", help="Frames, e.g. 1001-1100x2,1150. Default: all on disk."),
]
Dialect = Annotated[
    str,
    typer.Option(
        "--frames-dialect",
        metavar="|".join(DIALECTS),
        help="How frame ranges are written: fileseq 1-10x2, nuke '1-10x2 12', openjd 1-10:2.",
    ),
]
ColourSpace = Annotated[
    str, typer.Option("--colour-space", help="As the colour config calls it. Default: what the files say.")
]
Views = Annotated[
    Texts,
    typer.Option(
        "--view", metavar="NAME", help="Of a stereo plate; may be given several times. Default: all."
    ),
]
Release = Annotated[
    str,
    typer.Option("--release", metavar="FILE", help="Release record of the face; see `understudy release`."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Preset = Annotated[
    str,
    typer.Option("--preset", help="Of the model, e.g. quick64 or quick96; `understudy doctor` lists all."),
]
Iterations = Annotated[
    Whole,
    typer.Option("--iterations", min=1, help="Train until the model has had so many iterations in all."),
]
Minutes = Annotated[
    Real, typer.Option("--minutes", min=0.0, help="Train until the model has had so many minutes in all.")
]
Sets = Annotated[
    Texts,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="An option of the training; repeatable. `understudy train --list-options` lists all.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, machine and versions: same run.")]
SrcTrack = Annotated[Whole, typer.Option("--src-track", help="Which person of src, where there are several.")]
DstTrack = Annotated[Whole, typer.Option("--dst-track", help="Which person of dst, where there are several.")]
Match = Annotated[
    Text, typer.Option("--match", help="Colour match of the face to the plate: none, reinhard, …")
]
MatchAmount = Annotated[
    Real, typer.Option("--match-amount", help="0 leaves the network's colour, 1 is all of it.")
]
Blend = Annotated[Text, typer.Option("--blend", help="How the face goes onto the plate: over, …")]
Mask = Annotated[
    Text,
    typer.Option(
        "--mask",
        metavar="EXPR",
        help="Expression over mattes: 'face*hull', '(eyes + mouth)*occ', 'hull*(1 - 0.5*occ)'.",
    ),
]
MaskSmooth = Annotated[
    Whole, typer.Option("--mask-smooth", help="Frames over which the mask's flicker is taken out; 0: none.")
]
Segmenter = Annotated[
    str,
    typer.Option("--segmenter", metavar="FOLDER", help="Makes occ of faces without a matte, and occ_face."),
]
Enhancer = Annotated[
    str,
    typer.Option("--enhancer", metavar="FOLDER", help="For super_resolution=trained and enhance=trained."),
]
_MATTE = "MATTE.####.exr[=RANGE]"
LimitMattes = Annotated[
    Texts,
    typer.Option(
        "--limit-matte",
        "--user-matte",
        metavar=_MATTE,
        help="The face goes nowhere else. With =RANGE on these frames only; repeatable, as the next two.",
    ),
]
AddMattes = Annotated[
    Texts, typer.Option("--add-matte", metavar=_MATTE, help="The face goes here, whatever other mattes say.")
]
KeepMattes = Annotated[Texts, typer.Option("--keep-matte", metavar=_MATTE, help="The plate stays here.")]
MatteChannel = Annotated[
    str,
    typer.Option(
        "--matte-channel", metavar="NAME", help="Of these mattes. Default: alpha, else the only one."
    ),
]
Erode = Annotated[
    Real, typer.Option("--erode", help="Shrink the matte by so many pixels; negative grows it.")
]
Feather = Annotated[
    Real, typer.Option("--feather", help="Width of the soft edge in pixels, inside the matte.")
]
Opacity = Annotated[Real, typer.Option("--opacity", help="Of the whole swap, 0 to 1.")]
Smooth = Annotated[
    Whole, typer.Option("--smooth", help="Frames of the window that steadies landmarks; 0: none.")
]
RecipeFile = Annotated[
    Text,
    typer.Option(
        "--recipe", metavar="FILE", help="A look as JSON, keys over frames too; options override it."
    ),
]
RecipeFrom = Annotated[
    str,
    typer.Option(
        "--recipe-from",
        metavar="COMP.1001.exr",
        help="The look that made this frame, out of its header; options override it.",
    ),
]
LookSets = Annotated[
    Texts,
    typer.Option(
        "--set",
        metavar="NAME[@RANGE]=VALUE",
        help="A setting of the look, e.g. erode=3, erode=1001:2,1020:6 (keys) or erode@1010-1020=4 (on these "
        "frames); repeatable. `understudy recipe list` lists all.",
    ),
]
Layers = Annotated[
    Text,
    typer.Option(
        "--layers",
        metavar="NAME,NAME",
        help="Only these layers, face and mask_blend always among them. Default: all.",
    ),
]
NoLayers = Annotated[bool, typer.Option("--no-layers", help="Write the finished picture only.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Leave the job to the daemon and print its id. Needs `understudy serve`."),
]


def settings(texts: Texts) -> dict[str, str]:
    """What `--set` says: name → value.

    Raises:
        Refused: one is not NAME=VALUE, or is said twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise Refused.invalid("set", text, f"{text!r} is not NAME=VALUE")
        if name in found:
            raise Refused.invalid("set", text, f"{name} is set twice, to {found[name]} and to {value}")
        found[name] = value
    return found


def look(
    file: Text, sets: Texts, dialect: str, *, frame: str = "", person: str = "", **settings: Any
) -> Callable[[Session], Recipe]:
    """What `--recipe`, `--recipe-from`, single options and `--set` say together; each goes over those before it.

    Args:
        frame: of `--recipe-from`: whoever has a session asks the daemon for it.
        person: whose, where the frame has several people.

    Raises:
        Refused: both a file and a frame are given, or a setting cannot be.
        NotFound: there is no such file.
    """
    if file is not None and frame:
        raise Refused.invalid("recipe_from", frame, "--recipe and --recipe-from exclude each other")
    said = specs.recipe(file, **settings)
    specs.change(said, sets or (), dialect)
    return lambda session: session.recipe(frame, said, person=person) if frame else said


def user_mattes(dialect: str, *, limit: Texts, add: Texts, keep: Texts, channel: str) -> list[UserMatte]:
    """What `--limit-matte`, `--add-matte` and `--keep-matte` say together; `PATTERN=RANGE` is on these frames only.

    Raises:
        Refused: a range that cannot be.
    """
    found = []
    for use, texts in (("limit", limit), ("add", add), ("keep", keep)):
        for text in texts or ():
            pattern, frames = _with_frames(text)
            named = parse(frames, dialect, field=f"{use}_matte") if frames else None
            found.append(UserMatte(Plate(pattern, named), use, channel))
    return found


def _with_frames(text: str) -> tuple[str, str]:
    """A pattern and what is written after its `=`; a folder may have one in its name, and no range has a slash."""
    pattern, equals, frames = text.rpartition("=")
    return (pattern, frames) if equals and "/" not in frames else (text, "")


def layers(text: Text, *, no_layers: bool) -> bool | list[str]:
    """What `--layers` and `--no-layers` say together.

    Raises:
        Refused: both are given.
    """
    if text is None:
        return not no_layers
    if no_layers:
        raise Refused.invalid("layers", text, "--layers and --no-layers exclude each other")
    return [name.strip() for name in text.split(",")]
