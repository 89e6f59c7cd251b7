"""Python values → the specs of the contract.

Paths become absolute here, because the daemon has a working folder of its own; frame tokens stay as they are.
Whether a value makes sense is the daemon's to say, so that every client hears the same; only what has no
wire form is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from google.protobuf import json_format

from understudy.client import frames as ranges
from understudy.client.errors import Refused
from understudy.v1 import job_pb2 as pb
from understudy.v1.common_pb2 import FrameSegment, Keyable, PlateRef
from understudy.v1.recipe_pb2 import Recipe

PathLike = Union[str, "os.PathLike[str]"]
Frames = Union[None, str, Iterable[FrameSegment]]  # text is fileseq's grammar; None is all frames on disk

# What FFmpeg's libraries call containers of moving pictures. Everything else needs a frame token.
VIDEO_SUFFIXES = frozenset(
    "3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts webm wmv".split()  # noqa: SIM905
)


def absolute(path: PathLike) -> str:
    """The path as any process on this machine may use it; `~` is expanded, empty stays empty."""
    text = os.fspath(path)
    if not text:
        return ""
    # Not Path.resolve: what a link points to today is the daemon's to find out when it opens it.
    return os.path.abspath(Path(text).expanduser())  # noqa: PTH100


def is_video(path: PathLike) -> bool:
    """Whether the path is a video by its suffix, as opposed to a pattern of frames."""
    return Path(path).suffix.lower().lstrip(".") in VIDEO_SUFFIXES


def segments(frames: Frames, field: str = "frames") -> list[FrameSegment]:
    """Segments of a range given as text, as segments or not at all."""
    if frames is None or frames == "":
        return []
    return ranges.parse(frames, field=field) if isinstance(frames, str) else list(frames)


@dataclass(frozen=True)
class Plate:
    """An image sequence.

    Attributes:
        pattern: path with one frame token: `%04d`, `####` or `@@@@`.
        frames: which frames; None for all on disk.
        colour_space: as the colour config calls it; empty for what the headers say.
        views: names of those of a stereo plate to work on; none for all.
    """

    pattern: PathLike
    frames: Frames = None
    colour_space: str = ""
    views: Sequence[str] = ()

    def message(self) -> PlateRef:
        return PlateRef(
            pattern=absolute(self.pattern),
            frames=segments(self.frames),
            colour_space=self.colour_space,
            views=self.views,
        )


def plate(given: PathLike | Plate) -> PlateRef:
    """The wire form of a plate; a bare path means all its frames."""
    return given.message() if isinstance(given, Plate) else Plate(given).message()


def recipe(base: Recipe | Mapping[str, Any] | PathLike | None = None, **settings: Any) -> Recipe:
    """A look.

    Args:
        base: where to start: a Recipe, its JSON mapping, or the path of a file that holds the mapping.
        settings: fields of `understudy.v1.Recipe`; numbers become constants, None leaves the base's or
            default.

    Raises:
        Refused: a field is not known or has the wrong type.
        NotFound: there is no such file.
    """
    result = _base_recipe(base)
    for name, value in settings.items():
        if value is None:
            continue
        field = Recipe.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise Refused.invalid(
                f"recipe.{name}", value, f"a recipe has {', '.join(Recipe.DESCRIPTOR.fields_by_name)}"
            )
        try:
            if field.message_type is None:
                setattr(result, name, value)
            else:
                getattr(result, name).CopyFrom(value if isinstance(value, Keyable) else Keyable(value=value))
        except TypeError as error:
            raise Refused.invalid(f"recipe.{name}", value, str(error)) from error
    return result


def _base_recipe(base: Recipe | Mapping[str, Any] | PathLike | None) -> Recipe:
    result = Recipe()
    if base is None:
        return result
    if isinstance(base, Recipe):
        result.CopyFrom(base)
        return result
    try:
        if isinstance(base, Mapping):
            return json_format.ParseDict(dict(base), result)
        return json_format.Parse(Path(base).read_text(encoding="utf-8"), result)
    except OSError as error:
        raise Refused.missing(str(base), f"recipe: {error.strerror}: {base}") from error
    except json_format.ParseError as error:
        raise Refused.invalid("recipe", base, f"not the JSON mapping of a recipe: {error}") from error


def ingest(
    video: PathLike,
    pattern: PathLike,
    *,
    first: int | None = None,
    frames: Frames = None,
    colour_space: str = "",
) -> pb.JobSpec:
    """A video becomes a plate."""
    spec = pb.IngestSpec(
        video=absolute(video),
        pattern=absolute(pattern),
        first=first,
        frames=segments(frames),
        colour_space=colour_space,
    )
    return pb.JobSpec(ingest=spec)


def extract(
    given: PathLike | Plate,
    faceset: PathLike,
    *,
    detector: str = "",
    landmarker: str = "",
    face_type: str = "",
    size: int = 0,
    release: PathLike = "",
) -> pb.JobSpec:
    """A plate becomes a faceset."""
    spec = pb.ExtractSpec(
        plate=plate(given),
        faceset=absolute(faceset),
        detector=detector,
        landmarker=landmarker,
        face_type=face_type,
        size=size,
        release=absolute(release),
    )
    return pb.JobSpec(extract=spec)


def train(
    model: PathLike,
    src: PathLike,
    dst: PathLike,
    *,
    preset: str = "",
    iterations: int | None = None,
    minutes: float | None = None,
    batch_size: int = 0,
    seed: int = 0,
    device: str = "",
    src_track: int | None = None,
    dst_track: int | None = None,
    release: PathLike = "",
) -> pb.JobSpec:
    """Two facesets become a model. `iterations` and `minutes` are totals over the model's life.

    `release` is the path of a record to attach to src, where `extract` attached none.
    """
    spec = pb.TrainSpec(
        model=absolute(model),
        src=absolute(src),
        dst=absolute(dst),
        preset=preset,
        target_iterations=iterations or 0,
        batch_size=batch_size,
        seed=seed,
        device=device,
        src_track=src_track,
        dst_track=dst_track,
        release=absolute(release),
    )
    if minutes is not None:
        spec.target_time.FromMilliseconds(round(minutes * 60_000))
    return pb.JobSpec(train=spec)


def merge(
    given: PathLike | Plate,
    faceset: PathLike,
    model: PathLike,
    output: PathLike,
    *,
    look: Recipe | None = None,
    frames: Frames = None,
    track: int | None = None,
    layers: bool | Sequence[str] = True,
    aligned: bool = False,
    user_matte: PathLike | Plate | None = None,
    device: str = "",
    contact_sheet: bool = True,
) -> pb.JobSpec:
    """A plate, its faceset and a model become finished frames; `frames` limits what is written, not fitted.

    `layers` are the names of those to write; True is all, False none.
    """
    swap = pb.Swap(faceset=absolute(faceset), track=track, model=absolute(model), recipe=look or Recipe())
    spec = pb.MergeSpec(
        plate=plate(given),
        swaps=[swap],
        output=absolute(output),
        no_layers=not layers,
        layers=() if isinstance(layers, bool) else layers,
        aligned=aligned,
        user_matte=None if user_matte is None else plate(user_matte),
        device=device,
        no_contact_sheet=not contact_sheet,
        frames=segments(frames),
    )
    return pb.JobSpec(merge=spec)


def verify(output: PathLike | Plate, original: PathLike | Plate | None = None) -> pb.JobSpec:
    """An output is checked against its plate; None is the one that its headers name."""
    spec = pb.VerifySpec(output=plate(output), plate=None if original is None else plate(original))
    return pb.JobSpec(verify=spec)


def pull_weights(names: Iterable[str] = ()) -> pb.JobSpec:
    """Weights are fetched; none named means those that the defaults need."""
    return pb.JobSpec(pull_weights=pb.PullWeightsSpec(names=list(names)))


def check_plate(given: PathLike | Plate) -> pb.JobSpec:
    """Every frame of a plate is read wholly."""
    return pb.JobSpec(check_plate=pb.CheckPlateSpec(plate=plate(given)))


def torture(folder: PathLike) -> pb.JobSpec:
    """A set of plates to try a pipeline with is written."""
    return pb.JobSpec(torture=pb.TortureSpec(folder=absolute(folder)))
