"""How well mattes know what is before a face: hull, a generic TernausNet, and an XSeg that was taught with 8 labels.

A real clip, and made-up things composited before the face (`bench.occluded`), so that the truth is known: what is
visible of the hull of the landmarks that were found on the plate *without* them, steadied as a merge steadies them: a
roto does not tremble. Everything else works on the plate with them, by the command line's own path: ingest, extract,
label from a roto in plate space, train, apply.

The TernausNet has seen the other clips of the folder only, with hulls for labels and core's made-up occluders. The
XSeg starts from a segmenter that was trained in the same way (`--scratch` leaves that out), and is taught with 8 of
the frames as an artist would do it: label those that `segment next` names, train, apply, and ask again what the
mattes are least sure of (`ROUNDS`). All are judged on the faces that are not labelled, in the faceset's crop: IoU,
and F of the boundary within 0.8 % of the crop's diagonal (Perazzi et al., DAVIS, CVPR 2016). The limit is issue 5's:
0.95. `--keep` with more minutes goes on where the last run ended.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench import common
from bench.occluded import Scene
from bench.stills import Float
from understudy.client.session import Session
from understudy.client.specs import Plate, manual_face
from understudy.core import plate, track, warp
from understudy.core.colour import ColourConfig
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.mattes import Mattes
from understudy.core.matte import soft
from understudy.core.matte.hull import hull
from understudy.core.segment import judge
from understudy.core.segment.fitting import face_hull

FOLDER = common.FOLDER / "segment"
LIMIT = 0.95
FRAMES, FIRST = 60, 1100
# New labels, and the share of the time after which it is asked again.
ROUNDS = ((4, 0.15), (1, 0.25), (1, 0.35), (1, 0.45), (1, 1.0))
PRESET = "xseg-light-full"
STEADY = 7  # frames; a recipe's `smooth`
OTHERS = 48  # frames of each other clip
SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Shot:
    """The clip, with and without what is before the face.

    Attributes:
        clean, plate, roto: patterns: the clip, the same with things before the face, the visible face.
        faces: the faceset of `plate`.
        labelled: frames whose roto was given, as `segment next` chose them.
    """

    clean: Path
    plate: Path
    roto: Path
    faces: Path
    labelled: tuple[int, ...] = ()


def main(
    clips: Path | None = None,
    clip: str = "performer_b",
    minutes: float = 10.0,
    teach: float = 110.0,
    *,
    scratch: bool = False,
    keep: bool = False,
    quick: bool = False,
) -> None:
    videos = sorted(clips.glob("*.mp4")) if clips else []
    target = next((video for video in videos if video.stem == clip), None)
    if target is None:
        print(f"segment: no clip {clip}; name the folder: python -m bench.segment --clips FOLDER")
        return
    folders = {name: (FOLDER / name).absolute() for name in ("ternausnet", "xseg-generic", "xseg")}
    for folder in folders.values() if not keep else ():
        shutil.rmtree(folder, ignore_errors=True)
    with Session(state=(FOLDER / "state").absolute()) as session:
        shot = _shot(session, target, keep=keep)
        table = Table(shot, _truth(shot))
        others = [_others(session, video) for video in videos if video != target]
        table.add("hull", face_hull)
        for name, preset, left_out in (
            ("ternausnet", "ternausnet-light", quick),
            ("xseg-generic", PRESET, scratch),
        ):
            if not left_out:
                table.train(
                    session,
                    folders[name],
                    others,
                    "self-labelled others",
                    minutes,
                    preset=preset,
                    self_label=True,
                )
        options: dict[str, Any] = {} if scratch else {"start_from": folders["xseg-generic"]}
        wanted = 0
        for count, share in ROUNDS:
            wanted += count
            if len(shot.labelled) > wanted:  # a run that is gone on with was further
                continue
            table.shot = shot = _label(session, shot, wanted - len(shot.labelled))
            table.train(
                session,
                folders["xseg"],
                [shot.faces],
                f"{len(shot.labelled)} labels",
                teach * share,
                preset=PRESET,
                all_labels=True,
                **options,
            )
        suggested = [each.frame for each in session.suggest_labels(shot.faces)]
    table.show(clip)
    print("to label next:", ", ".join(map(str, suggested)))
    print("strip:", _strip(shot, table.truth, table.pictures))


class Table:
    """What each kind of matte is worth on the faces that are not labelled.

    Attributes:
        pictures: name → frame → matte.
    """

    def __init__(self, shot: Shot, truth: dict[int, Float]) -> None:
        self.shot, self.truth = shot, truth
        self.pictures: dict[str, dict[int, Float]] = {}
        self._rows: list[tuple[str, ...]] = []

    def add(self, name: str, of: Callable[[FaceRecord], Float | None], cost: str = "-") -> None:
        self.pictures[name] = _found(self.shot, of)
        self._rows.append((name, *_scores(self.pictures[name], self.truth, self.shot), cost))
        print("segment:", ", ".join(self._rows[-1]), flush=True)

    def train(
        self,
        session: Session,
        folder: Path,
        facesets: Sequence[Path],
        words: str,
        minutes: float,
        **options: Any,
    ) -> None:
        """Train a segmenter, and judge the mattes that it makes of the shot."""
        session.train_segmenter(folder, facesets, minutes=minutes, **options).wait().check()
        made = session.segmenter(folder)
        session.apply_segmenter(folder, self.shot.faces).wait().check()
        cost = f"{made.iteration}, {made.time_spent.ToSeconds() / 60:.1f} min"
        self.add(f"{folder.name}, {words}", Mattes(Faceset.open(self.shot.faces)).matte, cost)

    def show(self, clip: str) -> None:
        records = Faceset.open(self.shot.faces).records
        between = [r.face.frame for r in records if r.face.origin == "interpolated"]
        common.show(
            f"segment: {clip}, {len(self.truth) - len(self.shot.labelled)} unlabelled faces of {FRAMES} frames, "
            f"{len(set(between) - set(self.shot.labelled))} of them interpolated by hand; limit {LIMIT}",
            ("matte", "IoU", "worst", f"/ {LIMIT}", "boundary F", "iterations, time"),
            self._rows,
        )


def _shot(session: Session, video: Path, *, keep: bool) -> Shot:
    """Make the plates, find the faces; or take those that are there, with their labels."""
    folder = (FOLDER / video.stem).absolute()
    clean = folder / "clean.%04d.exr"
    span = f"{FIRST}-{FIRST + FRAMES - 1}"
    shot = Shot(
        clean=clean,
        plate=folder / "plate.%04d.exr",
        roto=folder / "roto.%04d.exr",
        faces=folder / "faces",
    )
    if keep and shot.faces.is_dir():
        faces = Faceset.open(shot.faces)
        named = Labels(faces).names()
        return replace(shot, labelled=tuple(r.face.frame for r in faces.records if r.path.name in named))
    session.ingest(video.absolute(), clean, frames=span).wait().check()
    session.extract(Plate(clean, span), folder / "clean", size=256).wait().check()
    _occlude(shot, Faceset.open(folder / "clean").select())
    if shot.faces.is_dir():
        shutil.rmtree(shot.faces)  # no label and no matte of an earlier run
    session.extract(Plate(shot.plate, span), shot.faces, size=256).wait().check()
    _by_hand(session, shot)
    session.extract(Plate(shot.plate, span), shot.faces, size=256).wait().check()
    return shot


def _by_hand(session: Session, shot: Shot) -> None:
    """Where the things hide so much that no face was found, give what was found before and after, as an artist would
    who sets two keys; extraction goes from one to the other.
    """
    found = {record.face.frame: record.face.landmarks.points for record in Faceset.open(shot.faces).records}
    seen = sorted(found)
    gaps = [(before, after) for before, after in pairwise(seen) if after > before + 1]
    keys = {
        number: manual_face(number, points=found[number].tolist(), interpolate=number == before)
        for before, after in gaps
        for number in (after, before)  # one that ends a gap may begin the next
    }
    if keys:
        session.set_manual_faces(shot.faces, keys.values())


def _label(session: Session, shot: Shot, count: int) -> Shot:
    """Give the roto of `count` more frames."""
    if not count:
        return shot
    chosen = [each.frame for each in session.suggest_labels(shot.faces, count=count)]
    roto = Plate(shot.roto, ",".join(map(str, chosen)))
    session.label_faces(shot.faces, roto=roto).wait().check()
    return replace(shot, labelled=tuple(sorted((*shot.labelled, *chosen))))


def _occlude(shot: Shot, faces: Faceset) -> None:
    """Write the plate with things before the face, and the roto of what is visible of it."""
    clean, out, roto = (plate.Template.parse(str(p)) for p in (shot.clean, shot.plate, shot.roto))
    found = list(faces.records)
    steady = track.smooth([record.face for record in found], STEADY)
    records = {face.frame: replace(record, face=face) for record, face in zip(found, steady, strict=True)}
    points = np.mean([record.face.landmarks.points for record in records.values()], axis=0)
    first = plate.read(clean, FIRST)
    scene = Scene(
        width=first.display.width,
        height=first.display.height,
        middle=(float(points[27:36, 0].mean()), float(points[27:36, 1].mean())),
        side=float(np.ptp(points[:, 1])) * 1.35,
        skin=_skin(first.rgb(), records[FIRST]),
        frames=FRAMES,
    )
    for number, record in records.items():
        frame = plate.read(clean, number)
        over, hidden = scene.over(frame.rgb(), number - FIRST)
        planes = {c: np.ascontiguousarray(over[..., i].astype(np.float16)) for i, c in enumerate("RGB")}
        plate.write(replace(frame, planes=planes), out.path(number))
        shape = frame.display.height, frame.display.width
        visible = soft(hull, record.face.landmarks.points, shape) * (1 - hidden)
        plate.write(replace(frame, planes={"A": visible.astype(np.float16)}), roto.path(number))


def _skin(rgb: Float, record: FaceRecord) -> tuple[float, float, float]:
    """The colour of a cheek."""
    x, y = record.face.landmarks.points[[2, 3, 31, 48]].mean(axis=0).astype(int)
    red, green, blue = np.median(rgb[y - 8 : y + 8, x - 8 : x + 8].reshape(-1, 3), axis=0).tolist()
    return red, green, blue


def _others(session: Session, video: Path) -> Path:
    """A faceset of another clip, nothing before the face."""
    folder = (FOLDER / video.stem).absolute()
    pattern, span = folder / "plate.%04d.exr", f"1001-{1000 + OTHERS}"
    session.ingest(video.absolute(), pattern, frames=span).wait().check()
    session.extract(Plate(pattern, span), folder / "faces", size=256).wait().check()
    return folder / "faces"


def _truth(shot: Shot) -> dict[int, Float]:
    """Frame → the visible face in the crop (S, S)."""
    roto = plate.Template.parse(str(shot.roto))

    def of(record: FaceRecord) -> Float:
        frame = plate.read(roto, record.face.frame)
        matte = frame.planes["A"].astype(np.float32)
        return warp.to_aligned(matte, frame.data, record.alignment).clip(0, 1)

    return _found(shot, of)


def _found(shot: Shot, of: Callable[[FaceRecord], Float | None]) -> dict[int, Float]:
    found = {}
    for record in Faceset.open(shot.faces).select().records:
        matte = of(record)
        assert matte is not None, f"{record.path}: no matte"
        found[record.face.frame] = matte
    return found


def _scores(found: dict[int, Float], truth: dict[int, Float], shot: Shot) -> tuple[str, ...]:
    """IoU, the worst, against the limit, boundary F; on unlabelled frames."""
    frames = [number for number in found if number not in shot.labelled]
    ious = [judge.iou(found[n], truth[n]) for n in frames]
    edges = [judge.boundary_f(found[n], truth[n]) for n in frames]
    mean = float(np.mean(ious))
    return f"{mean:.3f}", f"{min(ious):.3f}", f"{mean / LIMIT:.2f}", f"{np.mean(edges):.3f}"


def _strip(shot: Shot, truth: dict[int, Float], pictures: dict[str, dict[int, Float]]) -> Path:
    """Frames side by side: the face, the truth, each matte; what a matte has wrong is red (too much) or blue."""
    colour, faces = ColourConfig.open(None), Faceset.open(shot.faces).select()
    records = list(faces.records)
    chosen = [records[i] for i in np.linspace(0, len(records) - 1, SHOWN).round().astype(int)]
    rows = [[colour.proxy(faces.load(record), record.gain) for record in chosen]]
    for found in (truth, *pictures.values()):
        rows += [[_against(found[r.face.frame], truth[r.face.frame]) for r in chosen]]
    picture = np.vstack([np.hstack(row) for row in rows])
    path = FOLDER / f"{shot.faces.parent.name}.png"
    cv2.imwrite(str(path), (picture[..., ::-1] * 255 + 0.5).astype(np.uint8))
    return path


def _against(found: Float, truth: Float) -> Float:
    both, more, less = np.minimum(found, truth), (found - truth).clip(0), (truth - found).clip(0)
    return np.stack([both + more, both, both + less], axis=-1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.segment", description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--clip", default="performer_b", help="the one that is judged on; its stem")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each training without labels")
    parser.add_argument("--teach", type=float, default=110.0, help="minutes of the training with labels")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="go on with the last run's segmenters and labels; minutes are totals",
    )
    parser.add_argument("--quick", action="store_true", help="leave the TernausNet out")
    parser.add_argument("--scratch", action="store_true", help="the XSeg starts from nothing")
    given = parser.parse_args()
    main(
        given.clips,
        given.clip,
        given.minutes,
        given.teach,
        scratch=given.scratch,
        keep=given.keep,
        quick=given.quick,
    )
