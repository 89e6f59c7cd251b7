"""The rows of the DeepFaceLab paper's ablation (arXiv 2005.05535, table 2), trained by name on real footage, shortly.

`ablation-{df,liae,dfhd,liaehd}`, each plain and with GAN and TrueFace: one performer's face onto another's, by the
command line's own path: ingest, extract, train. A few iterations say that each row trains, and what it costs; they
say nothing of quality. The sheet has some faces of the last preview of every row, four rows side by side in the order
of the table: src, src as painted, dst, dst as painted, the swap and its matte.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from bench import common
from understudy.client.session import Session
from understudy.client.specs import Plate
from understudy.core import release
from understudy.core.model.presets import ABLATION
from understudy.core.model.summary import summarise
from understudy.core.train import memory, plan, preview

FOLDER = common.FOLDER / "ablation"
FRAMES = 48  # of each performer
_FACES, _SIDE = 3, 112  # of a row in the sheet, and their side in pixels
_SHOWN = (0, 1, 2, 3, 4, 8)  # lines of a preview that are in it: see `Trainer.look`
_ACROSS, _GAP, _TITLE = 4, 8, 28
_DARK = 32


def main(
    footage: Path | None = None,
    rows: Sequence[str] = tuple(ABLATION),
    iterations: int = 20,
    batch: int = 4,
    performers: tuple[str, str] = ("performer_a", "performer_b"),
) -> None:
    if footage is None or not all((footage / f"{name}.mp4").is_file() for name in performers):
        print("ablation: no footage; name its folder: python -m bench.ablation --clips FOLDER")
        return
    table, sheet = list[tuple[str, ...]](), []
    with Session(state=(FOLDER / "state").absolute()) as session:
        src, dst = (_faces(session, footage / f"{name}.mp4") for name in performers)
        for name in rows:
            folder = (FOLDER / name).absolute()
            shutil.rmtree(folder, ignore_errors=True)
            job = session.train(
                folder,
                src,
                dst,
                preset=name,
                iterations=iterations,
                batch_size=batch,
                release=_release(performers[0]) if name == rows[0] else "",
            )
            job.wait().check()
            table.append(_row(session, name, folder, batch))
            sheet.append(_titled(name, max((folder / "previews").glob("*.png"))))
    columns = (
        "row",
        "M parameters",
        "GFLOP / it",
        "memory, MiB",
        "s / it",
        "loss src",
        "loss dst",
        "others at the end",
    )
    title = f"ablation, {performers[0]} onto {performers[1]}, 128 px, batch {batch}, {iterations} iterations"
    common.show(title, columns, table)
    path = FOLDER / "sheet.png"
    cv2.imwrite(str(path), _sheet(sheet))
    print("sheet:", path)


def _row(session: Session, name: str, folder: Path, batch: int) -> tuple[str, ...]:
    model, config = session.model(folder), ABLATION[name]
    counted = summarise(config, batch_size=batch)
    course = plan.plan(name).with_options({"batch_size": str(batch)})
    need = memory.need(config, course, bfloat16=False).peak
    seconds = model.time_spent.ToMilliseconds() / 1e3 / max(1, model.iteration)
    losses = dict(model.losses)
    told = [f"{losses.pop(side):.2f}" for side in ("src", "dst")]
    others = ", ".join(f"{part} {value:.3g}" for part, value in sorted(losses.items()))
    assert model.parameters == sum(counted.parameters.values()), "the model is that of the table"
    costs = f"{counted.step_flops / 1e9:,.0f}", f"{need / 2**20:,.0f}", f"{seconds:.2f}"
    return (name, f"{model.parameters / 1e6:.1f}", *costs, *told, others)


def _faces(session: Session, video: Path) -> Path:
    """A faceset of the first frames of a clip."""
    folder = (FOLDER / video.stem).absolute()
    pattern, span = folder / "plate.%04d.exr", f"1001-{1000 + FRAMES}"
    session.ingest(video.absolute(), pattern, frames=span).wait().check()
    session.extract(Plate(pattern, span), folder / "faces", size=256).wait().check()
    return folder / "faces"


def _release(subject: str) -> Path:
    path = (FOLDER / "release.json").absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    record = release.create(subject=subject, kind="test", granted_by="footage for tests")
    release.write(record, path)
    return path


def _titled(name: str, picture: Path) -> np.ndarray:
    """(H, W, 3) uint8: some faces of a preview under its row's name."""
    image = cv2.imread(str(picture))
    assert image is not None, f"{picture}: no preview"
    lines = image.shape[0] * preview.COLUMNS // image.shape[1]
    size = preview.COLUMNS * _SIDE, lines * _SIDE
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)[:, : _FACES * _SIDE]
    title = np.full((_TITLE, _FACES * _SIDE, 3), _DARK, np.uint8)
    cv2.putText(title, name, (8, _TITLE - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230, 230, 230), 1, cv2.LINE_AA)
    return np.asarray(
        np.vstack([title, *(small[row * _SIDE : (row + 1) * _SIDE] for row in _SHOWN)]), np.uint8
    )


def _sheet(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W, 3) uint8: some to a line, dark where the last line has fewer."""
    height, width = blocks[0].shape[:2]
    down, across = -(-len(blocks) // _ACROSS), min(len(blocks), _ACROSS)
    size = down * (height + _GAP) - _GAP, across * (width + _GAP) - _GAP, 3
    sheet = np.full(size, _DARK, np.uint8)
    for place, block in enumerate(blocks):
        y, x = (at * (side + _GAP) for at, side in zip(divmod(place, _ACROSS), (height, width), strict=True))
        sheet[y : y + height, x : x + width] = block
    return sheet


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.ablation", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--clips", type=Path, required=True, metavar="FOLDER", help="with performer_a.mp4, _b.mp4"
    )
    parser.add_argument("--rows", nargs="+", choices=tuple(ABLATION), default=tuple(ABLATION), metavar="ROW")
    parser.add_argument("--iterations", type=int, default=20, help="of each (%(default)s)")
    parser.add_argument("--batch", type=int, default=4, help="faces of each person (%(default)s)")
    given = parser.parse_args()
    main(given.clips, given.rows, given.iterations, given.batch)
