"""Every blend with every colour match under masks of all kinds: does it run, is every promise kept, what does a frame
cost, how does it look?

One merge for each blend and match, whose mask goes round: each mask meets every blend and every match (`--mask` says
one for all). The plate has a glint of 150 on the cheek and negative values beside the nose; the network's face is a
stranger's. A cell is milliseconds of the processor a frame, all of the merge but reading and writing; one with a `!`
has a fault, which is said below: what `verify` finds (outside the matte the plate's bits, the mix rule, finite values
inside), or a glint that was clipped or blown up. What the merges warned of is said too.

The strips in `out/bench/modes` are for eyes: a PNG for each blend, a row for each match. From left to right: plate,
`face_raw`, matte, `face`, comp.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence

import numpy as np

from bench import clips, common, stand_ins
from bench.merge import of_plate, one_after_another, run
from understudy.core import _plugins, drawing, plate, verify
from understudy.core.blend import wants
from understudy.core.colour import ColourConfig
from understudy.core.faceset import Faceset
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.merge import headers
from understudy.core.merge.recipe import Recipe
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate import Plate, Template
from understudy.core.reports import FrameReport, FrameStatus

FOLDER = common.FOLDER / "modes"
WIDTH, HEIGHT = 480, 360
MODEL = 128  # pixels
MASKS = ("face", "hull", "face*hull", "max(face, hull)", "full")
GLINT = 150.0
_HELD = 8.0  # how often brighter or darker a glint may come out: a match takes a stop or two, what clips takes four
_GLINT, _DARK = (0.60, 0.47, 3), (0.50, 0.55, 5)  # x and y in shares of the plate, half a side in pixels
_CELL, _BAND, _GAP = 240, 26, 4
_COLUMNS = ("plate", "face_raw", "matte", "face", "comp")


def main(arguments: Sequence[str] = ()) -> None:
    families = {family: _plugins.names(family) for family in ("blend", "match")}
    parser = argparse.ArgumentParser(prog="python -m bench.modes")
    parser.add_argument("--blends", nargs="*", choices=families["blend"], default=families["blend"])
    parser.add_argument("--matches", nargs="*", choices=families["match"], default=families["match"])
    parser.add_argument("--mask", help="an expression for all, in place of all in turn")
    parser.add_argument("--frames", type=int, default=1)
    asked = parser.parse_args(arguments)
    settings = of_plate(_plate(asked.frames), FOLDER / "stranger")
    faces = (
        of_plate(common.plate("astronaut", 1), FOLDER / "stranger", FOLDER / "astronaut").people[0].faceset
    )
    network = stand_ins.stranger(Faceset.open(faces), MODEL, glints=True)
    masks = (asked.mask,) if asked.mask else MASKS
    with one_after_another(), stand_ins.as_network(network):
        table(settings, asked.blends, asked.matches, masks)
    print(f"strips: {FOLDER}")
    shutil.rmtree(settings.out.directory)


def table(
    settings: MergeSettings, blends: Sequence[str], matches: Sequence[str], masks: Sequence[str]
) -> None:
    """Show what each blend with each match costs and what is wrong with it, and write a strip of each blend."""
    rows, faults, colour = list[tuple[str, ...]](), list[str](), ColourConfig.open(None)
    warned = dict[str, list[str]]()  # what, and by which merges
    for blend in blends:
        cells, sheet = [blend], [_line(_COLUMNS)]
        for match in matches:
            recipe = Recipe(blend=blend, match=match, mask=mask_of(blend, match, masks))
            tried = common.looking(settings, recipe)
            taken = run(tried, time.process_time)
            name, found = f"{blend}, {match}, {recipe.mask}", wrong(tried, colour)
            cells.append(f"{1000 * taken.per_frame(len(tried.wanted)):.0f}{'!' * bool(found)}")
            faults += [f"{name}: {fault}" for fault in found]
            for warning in taken.warnings:
                warned.setdefault(warning, []).append(name)
            sheet += [_line([name]), _row(tried, next(iter(tried.wanted)), colour)]
        rows.append(tuple(cells))
        drawing.save(np.vstack(sheet), FOLDER / f"{blend}.png")
    title = f"modes: {WIDTH}×{HEIGHT}, {MODEL}² faces, CPU ms a frame"
    common.show(title, ("blend", *matches), rows)
    told = [f"{names[0]} ({len(names)} merges) warns: {warning}" for warning, names in warned.items()]
    print("\n".join([*told, *faults, f"{len(rows) * len(matches)} merges, {len(faults)} faults\n"]))


def mask_of(blend: str, match: str, masks: Sequence[str]) -> str:
    """The mask whose turn it is."""
    places = (_plugins.names(family).index(name) for family, name in (("blend", blend), ("match", match)))
    return masks[sum(places) % len(masks)]


def wrong(settings: MergeSettings, colour: ColourConfig) -> list[str]:
    """All that is wrong with what a merge made."""
    found = {
        f"frame {report.frame}: {report.message}"
        for report in verify.run(settings.out, colour=colour)
        if isinstance(report, FrameReport) and report.status is not FrameStatus.DONE
    }
    raw = wants(_plugins.load("blend", settings.people[0].recipe.blend)).raw  # which keeps no highlights
    for number in settings.wanted:
        left = _brightest(plate.read(settings.out, number))
        if left > GLINT * _HELD or (left < GLINT / _HELD and not raw):
            found.add(f"frame {number}: of a glint of {GLINT:g}, {left:.3g} is left")
    return sorted(found)


def _brightest(made: Frame) -> float:
    """The largest value around the glint."""
    x, y, half = _GLINT
    side = Window(round(x * WIDTH) - half, round(y * HEIGHT) - half, 2 * half, 2 * half)
    return float(made.rgb(side).max())


def _row(settings: MergeSettings, number: int, colour: ColourConfig) -> Array:
    made, source = plate.read(settings.out, number), plate.read(settings.plate.template, number)
    gain, space = float(made.metadata[headers.GAIN]), str(made.metadata[headers.COLOUR])
    rows, columns = (np.flatnonzero((made.planes["face.A"] > 0).any(axis=axis)) for axis in (1, 0))
    shown = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))

    def seen(frame: Frame, layer: str) -> Array:
        rgb = np.stack([frame.planes[f"{layer}{c}"][shown] for c in "RGB"], axis=-1).astype(np.float32)
        return drawing.shown(colour.to_working(rgb, space), gain, colour)

    matte = drawing.eight_bits(made.planes["mask_blend.A"][shown].astype(np.float32))
    pictures = [
        seen(source, ""),
        seen(made, "face_raw."),
        np.repeat(matte[..., None], 3, axis=-1),
        seen(made, "face."),
        seen(made, ""),
    ]
    row = drawing.paper(_GAP + len(pictures) * (_CELL + _GAP), _CELL)
    for i, picture in enumerate(pictures):
        x = _GAP + i * (_CELL + _GAP)
        row[:, x : x + _CELL] = drawing.fit(picture, _CELL)
    return row


def _line(texts: Sequence[str]) -> Array:
    line = drawing.paper(_GAP + len(_COLUMNS) * (_CELL + _GAP), _BAND)
    for i, text in enumerate(texts):
        drawing.write_text(line, text, (_GAP + 2 + i * (_CELL + _GAP), _BAND - 8))
    return line


def _plate(frames: int) -> Plate:
    """The clip `hopper` with a glint and something negative on the face."""
    template = Template.parse(str(FOLDER / f"plate-{frames}" / "hopper.%04d.exr"))
    clip = clips.Clip(name="hopper", frames=frames, width=WIDTH, height=HEIGHT)
    window = Window(0, 0, WIDTH, HEIGHT)
    for index in range(frames):
        picture = clips.render(clip, index)
        _put(picture, _GLINT, GLINT)
        _put(picture, _DARK, -0.02)
        stored = picture.astype(np.float16)
        planes = {c: np.ascontiguousarray(stored[..., i]) for i, c in enumerate("RGB")}
        frame = Frame(number=clip.first + index, planes=planes, display=window, data=window)
        plate.write(frame, template.path(frame.number))
    return plate.find(template.text, colour_space=clips.COLOUR_SPACE)


def _put(picture: Float, where: tuple[float, float, int], value: float) -> None:
    x, y, half = round(where[0] * WIDTH), round(where[1] * HEIGHT), where[2]
    picture[y - half : y + half, x - half : x + half] = value


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
