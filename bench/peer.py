"""Our extraction beside the package face-alignment: the same networks, weights, frames and processors, in one run.

The weights of S3FD and 2DFAN-4 may not be had everywhere, so both sides get the same made-up ones, at which S3FD
believes in a few anchors a frame; RetinaFace has its published ones where `$UNDERSTUDY_WEIGHTS` holds them. Flipped
pictures are left out on both sides. The package is measured as it comes (torch.compile) and without. Ours is measured
in one process with all cores and, as extraction works on a CPU, in one process a core with one thread each; then with
faces followed, a whole search every 8 frames and windows of 2.2 faces between.

`apart` is the largest difference of boxes in pixels; landmarks are compared before the package cuts them to whole
pixels, by their heatmaps (`python -m bench.parity`).
"""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import common, parity
from understudy.core import _plugins
from understudy.core.detect import Detector, retinaface, s3fd
from understudy.core.face import Detection
from understudy.core.frames import Float
from understudy.core.landmark import Landmarker, Look
from understudy.core.plate import read
from understudy.core.weights import State, WeightStore

FOLDER = common.FOLDER / "peer"
FRAMES = 16
SMALLEST = 20.0  # pixels: both search the frame as it is, not a smaller one
EVERY, WINDOW = 8, 2.2
BELIEVED = 4  # anchors of S3FD's finest layers that made-up weights are brought to believe in

Boxes = list[tuple[float, ...]]


def main() -> None:
    frames = _frames()
    store, real = _store(frames[0])
    rows: list[tuple[str, ...]] = []
    for detector in ("s3fd", "retinaface"):
        theirs: dict[str, tuple[float, list[Boxes]]] = {}
        for compiled in (False, True):
            theirs["compiled" if compiled else "eager"] = _theirs(store, detector, frames, compiled=compiled)
        best = min(seconds for seconds, _ in theirs.values())
        rows += [
            _line(f"{detector} + 2dfan, face-alignment {name}", t, best, 0.0)
            for name, (t, _) in theirs.items()
        ]
        wanted = theirs["eager"][1]
        ours = [
            ("one process", *_ours(store, detector, frames)),
            ("a process a core", *_spread(store, detector, frames)),
        ]
        if real:
            ours += [("followed, a process a core", *_spread(store, detector, frames, follow=True))] * (
                detector == "retinaface"
            )
        rows += [
            _line(f"{detector} + 2dfan, ours, {name}", t, best, _apart(wanted, boxes))
            for name, t, boxes in ours
        ]
    height, width = frames[0].shape[:2]
    common.show(
        f"peer: {len(frames)} frames of {width}×{height}, detection and landmarks of every face",
        ("", "ms/frame", "times the faster peer", "apart px"),
        rows,
    )


def _line(name: str, seconds: float, best: float, apart: float) -> tuple[str, ...]:
    return name, f"{1000 * seconds:.0f}", f"{best / seconds:.2f}", f"{apart:.1e}" if apart else "-"


def _frames() -> list[Float]:
    """What 8-bit readers see of a plate, (H, W, 3) in [0, 1]."""
    plate = common.plate("hopper", FRAMES)
    proxies = (np.clip(read(plate.template, n).rgb(), 0.0, 1.0) ** (1 / 2.2) for n in plate.present)
    return [(np.rint(p * 255.0) / np.float32(255.0)).astype(np.float32) for p in proxies]


class Given(WeightStore):
    """Serves these files, whatever they hold."""

    def __init__(self, files: dict[str, Path]) -> None:
        super().__init__(FOLDER)
        self._files = files

    def path(self, name: str) -> Path:
        return self._files[name]


def _store(frame: Float) -> tuple[Given, bool]:
    """The weights of both sides; and whether RetinaFace's are the published ones."""
    site = common.weights()
    real = site.check("retinaface").state is State.PRESENT
    made = {"2dfan4": parity.fan_pair()[0].state_dict(), "s3fd": _s3fd(frame)}
    if not real:
        made["retinaface"] = parity.randomised(retinaface.network()).state_dict()
    files = {name: FOLDER / f"{name}.pth" for name in made}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, state in made.items():
        torch.save(dict(state), files[name])
    return Given({"retinaface": site.path("retinaface"), **files} if real else files), real


def _s3fd(frame: Float) -> dict[str, Tensor]:
    """Made-up weights that take a few anchors of this frame for faces."""
    state = dict(parity.randomised(s3fd.S3fd()).state_dict())
    network = s3fd.S3fd().eval()
    network.load_state_dict(state)
    with torch.inference_mode():
        picture = torch.from_numpy(frame[..., ::-1] * 255.0 - np.array((104.0, 117.0, 123.0), np.float32))
        layers = network.joined()(picture.permute(2, 0, 1)[None])
    logits = torch.cat([layer.logits.flatten() for layer in layers]).sort(descending=True).values
    for name, value in state.items():
        if name.endswith("conf.bias"):
            value[-1] -= logits[BELIEVED]
    return state


class Ours:
    """Detection and landmarks as extraction does them, of one process."""

    def __init__(self, store: Given, detector: str) -> None:
        self._detector: Detector = _plugins.load("detect", detector).create(store, device="cpu")
        self._landmarker: Landmarker = _plugins.load("landmark", "fan2d").create(store, device="cpu")

    def whole(self, frame: Float) -> Boxes:
        (found,) = self._detector.detect([frame], SMALLEST)
        self._landmarker.landmarks([Look(proxy=frame, detection=d) for d in found])
        return [d.box for d in found]

    def window(self, frame: Float, before: Boxes) -> Boxes:
        """Faces that were here on the frame before."""
        found = [d for box in before for d in self._around(frame, box)]
        self._landmarker.landmarks([Look(proxy=frame, detection=d) for d in found])
        return [d.box for d in found]

    def _around(self, frame: Float, box: tuple[float, ...]) -> list[Detection]:
        side = max(box[2] - box[0], box[3] - box[1])
        x, y = ((box[i] + box[i + 2]) / 2.0 - WINDOW / 2.0 * side for i in (0, 1))
        x, y = max(0, int(x)), max(0, int(y))
        crop = np.ascontiguousarray(frame[y : y + int(WINDOW * side), x : x + int(WINDOW * side)])
        (found,) = self._detector.detect([crop], side / 2.0)
        return [replace(d, box=(d.box[0] + x, d.box[1] + y, d.box[2] + x, d.box[3] + y)) for d in found[:1]]


def _ours(store: Given, detector: str, frames: Sequence[Float]) -> tuple[float, list[Boxes]]:
    ours = Ours(store, detector)
    return _timed(ours.whole, frames)


def _timed(work: Callable[[Float], Boxes], frames: Sequence[Float]) -> tuple[float, list[Boxes]]:
    """Seconds a frame, and what came of each."""
    work(frames[0])
    began = time.perf_counter()
    found = [work(frame) for frame in frames]
    return (time.perf_counter() - began) / len(frames), found


_mine: Ours  # of a worker process


def _begin(store: Given, detector: str) -> None:
    global _mine  # noqa: PLW0603 - a worker's own
    torch.set_num_threads(1)
    _mine = Ours(store, detector)


def _block(frames: Sequence[Float], follow: bool) -> list[Boxes]:
    found = [_mine.whole(frames[0])]
    for frame in frames[1:]:
        found.append(_mine.window(frame, found[-1]) if follow else _mine.whole(frame))
    return found


def _spread(
    store: Given, detector: str, frames: Sequence[Float], *, follow: bool = False
) -> tuple[float, list[Boxes]]:
    """A process a core, a block of frames each at a time."""
    cores = os.cpu_count() or 1
    blocks = [list(frames)[i : i + EVERY] for i in range(0, len(frames), EVERY)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, context, _begin, (store, detector)) as pool:
        list(pool.map(_block, [blocks[0][:1]] * cores, [False] * cores))
        began = time.perf_counter()
        found = [boxes for part in pool.map(_block, blocks, [follow] * len(blocks)) for boxes in part]
    return (time.perf_counter() - began) / len(frames), found


def _theirs(
    store: Given, detector: str, frames: Sequence[Float], *, compiled: bool
) -> tuple[float, list[Boxes]]:
    """The package, given 8-bit frames as it takes them."""
    import face_alignment
    from face_alignment.models import FAN

    class Peer(face_alignment.FaceAlignment):  # type: ignore[misc]
        """With weights from a file instead of from its makers' server."""

        def _load_native(self, *_: Any) -> Any:
            network = FAN(4)
            network.load_state_dict(torch.load(store.path("2dfan4"), weights_only=True))
            return network.eval()

    kind = {"s3fd": "sfd"}.get(detector, detector)
    options = {"path_to_detector": str(store.path(detector))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = Peer(
            face_alignment.LandmarksType.TWO_D,
            device="cpu",
            flip_input=False,
            face_detector=kind,
            face_detector_kwargs=options,
            compile=compiled,
        )

        def work(frame: Float) -> Boxes:
            picture = np.rint(frame * 255.0).astype(np.uint8)
            _, _, found = peer.get_landmarks_from_image(picture, return_bboxes=True)
            return [tuple(map(float, box[:4])) for box in (() if found is None else found)]

        return _timed(work, frames)


def _apart(wanted: Sequence[Boxes], found: Sequence[Boxes]) -> float:
    """Largest difference of two sides' boxes; infinite where one has more faces."""
    if [len(boxes) for boxes in wanted] != [len(boxes) for boxes in found]:
        return float("inf")
    pairs = ((sorted(a), sorted(b)) for a, b in zip(wanted, found, strict=True))
    return max((float(np.abs(np.array(a) - np.array(b)).max()) for a, b in pairs if a), default=0.0)


if __name__ == "__main__":
    main()
