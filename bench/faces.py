"""Every detector with every landmarker on real clips: what is found, how sure, how steady, how fast.

All goes through the command line's own path: a session, an embedded daemon, jobs. Clips and weights are not part of
the project: `--clips FOLDER` names the one, `$UNDERSTUDY_WEIGHTS` the other (a folder, beside what `understudy weights
pull` has fetched); pairs whose weights are not there are left out, and named.

Jitter is what a face's points do from frame to frame that no smooth motion explains (`core.steady`), as found, before
any smoothing; real performances move, so compare down a column, not with 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench import common
from understudy.client.errors import UnderstudyError
from understudy.client.session import Session
from understudy.client.specs import Plate
from understudy.core import _plugins, steady
from understudy.core.faceset import Faceset

FOLDER = common.FOLDER / "faces"
FRAMES = 48
VIDEOS = ("*.mov", "*.mp4")


def main(clips: Path | None = None, frames: int = FRAMES) -> None:
    videos = sorted(v for pattern in VIDEOS for v in clips.glob(pattern)) if clips else []
    if not videos:
        print("faces: no clips; name their folder: python -m bench.faces --clips FOLDER")
        return
    rows: list[tuple[str, ...]] = []
    left_out: dict[str, str] = {}
    with Session(state=(FOLDER / "state").absolute()) as session:
        pairs = list(_pairs(session, left_out))
        for video in videos:
            plate = ingested(session, video, frames)
            rows += [_row(session, plate, video.stem, *pair) for pair in pairs]
    common.show(
        f"faces: {frames} frames of each clip, searched wholly every 8 frames",
        (
            "clip",
            "detector",
            "landmarker",
            "frames with a face",
            "people",
            "confidence",
            "jitter px",
            "ms/frame",
        ),
        rows,
    )
    for name, why in left_out.items():
        print(f"left out: {name}: {why}")


def _pairs(session: Session, left_out: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Detectors and landmarkers that have all they need."""
    present = {w.name for w in session.weights() if w.state == 1}
    usable: dict[str, list[str]] = {}
    for family in ("detect", "landmark"):
        for name in _plugins.names(family):
            missing = [w for w in _plugins.load(family, name).WEIGHTS if w not in present]
            if missing:
                left_out[name] = f"weights {', '.join(missing)} are not here"
            else:
                usable.setdefault(family, []).append(name)
    return ((d, m) for d in usable["detect"] for m in usable["landmark"])


def ingested(session: Session, video: Path, frames: int) -> Plate:
    """The first frames of a clip as a plate."""
    pattern = (FOLDER / "plates" / f"{video.stem}.%04d.exr").absolute()
    span = f"1001-{1000 + frames}"
    session.ingest(video.absolute(), pattern, frames=span).wait().check()
    return Plate(pattern, span)


def _row(session: Session, plate: Plate, clip: str, detector: str, landmarker: str) -> tuple[str, ...]:
    folder = (FOLDER / f"{clip}-{detector}-{landmarker}").absolute()
    if folder.is_dir():
        for file in folder.rglob("*"):
            if file.is_file():
                file.unlink()
    try:
        job = (
            session.extract(plate, folder, detector=detector, landmarker=landmarker, size=256).wait().check()
        )
    except UnderstudyError as error:
        return (clip, detector, landmarker, "0", "0", "-", "-", str(error).split(":")[0][:24])
    faces = Faceset.open(folder)
    lead = faces.select(faces.tracks()[0].id).records
    points = np.stack([record.face.landmarks.points for record in lead])
    looked = len(list(job.frames()))
    return (
        clip,
        detector,
        landmarker,
        f"{len({record.face.frame for record in faces.records})} of {looked}",
        str(len(faces.tracks())),
        f"{np.mean([record.face.score for record in lead]):.3f}",
        f"{steady.jitter(points):.3f}",
        f"{1000 * job.seconds / looked:.0f}",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.faces", description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--frames", type=int, default=FRAMES)
    given = parser.parse_args()
    main(given.clips, given.frames)
