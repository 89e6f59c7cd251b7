"""Our extraction beside the package face-alignment: S3FD and 2DFAN-4 on the same weights, frames and processors.

The published weights may not be had everywhere, so both sides get the same made-up ones, at which S3FD believes in one
anchor of a frame or so and has some hundred candidates, as with real ones. Both search the frame as it is, full size.
Flipped pictures are left out on both sides. The package is measured plain and, with `--compiled`, as it comes
(torch.compile, which takes minutes); ours in one process with all cores and, as extraction works on a CPU, in one
process a core with one thread each. The last line is what extraction does: a whole search every 8 frames, between them
windows around the faces of the frame before. Made-up weights find nothing there that could be followed, so that line
is its cost only.

`apart` is the largest difference of boxes in pixels; landmarks are compared before the package cuts them to whole
pixels, by their heatmaps (`python -m bench.parity`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from bench import common, parity
from understudy.core import _plugins
from understudy.core.detect import Detector, s3fd
from understudy.core.face import Detection
from understudy.core.frames import Float
from understudy.core.landmark import Landmarker, Look
from understudy.core.plate import read
from understudy.core.weights import WeightStore

FOLDER = common.FOLDER / "peer"
FRAMES = 16
SMALLEST = 20.0  # pixels: both search the frame as it is, not a smaller one
EVERY, WINDOW, LOOKED = 8, 2.2, 320  # as extraction follows
_DOUBT = 2.94  # logit of the 0.05 from which the package calls an anchor a candidate
CANDIDATES = 200
BELIEVED = 1  # anchors of the first frame that made-up weights take for a face

Boxes = list[tuple[float, float, float, float]]


def main(*, compiled: bool = False) -> None:
    frames = _frames()
    store = _store(frames[0])
    theirs = {"plain": _theirs(store, frames, compiled=False)}
    if compiled:
        theirs["compiled"] = _theirs(store, frames, compiled=True)
    wanted, best = theirs["plain"][1], min(seconds for seconds, _ in theirs.values())
    rows = [_line(f"face-alignment, {name}", seconds, best, "-") for name, (seconds, _) in theirs.items()]
    for name, (seconds, found) in {
        "one process": _timed(Ours(store).whole, frames),
        "a process a core": _spread(store, frames),
    }.items():
        rows.append(_line(f"ours, {name}", seconds, best, f"{_apart(wanted, found):.1e}"))
    seconds, _ = _spread(store, frames, follow=True)
    rows.append(_line("ours, a process a core, followed", seconds, best, "cost only"))
    height, width = frames[0].shape[:2]
    faces = sum(map(len, wanted)) / len(wanted)
    common.show(
        f"peer: {len(frames)} frames of {width}×{height}, {faces:.1f} faces each, detection and landmarks",
        ("", "ms/frame", "times the faster peer", "apart px"),
        rows,
    )


def _line(name: str, seconds: float, best: float, apart: str) -> tuple[str, ...]:
    return name, f"{1000 * seconds:.0f}", f"{best / seconds:.2f}", apart


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


def _store(frame: Float) -> Given:
    """The weights of both sides."""
    made = {"2dfan4": parity.fan_pair()[0].state_dict(), "s3fd": _s3fd(frame)}
    files = {name: FOLDER / f"{name}.pth" for name in made}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, state in made.items():
        torch.save(dict(state), files[name])
    return Given(files)


def _s3fd(frame: Float) -> dict[str, Tensor]:
    """Made-up weights that take a few anchors of this frame for faces."""
    state = dict(parity.randomised(s3fd.S3fd()).state_dict())
    network = s3fd.S3fd().eval()
    network.load_state_dict(state)
    with torch.inference_mode():
        picture = torch.from_numpy(frame[..., ::-1] * 255.0 - np.array((104.0, 117.0, 123.0), np.float32))
        layers = network.joined()(picture.permute(2, 0, 1)[None])
    logits = torch.cat([layer.logits.flatten() for layer in layers]).sort(descending=True).values
    border = (logits[BELIEVED - 1] + logits[BELIEVED]) / 2.0
    steeper = _DOUBT / float(border - logits[CANDIDATES])
    for name, value in state.items():
        if "_conf." in name:
            value.mul_(steeper)
        if name.endswith("conf.bias"):
            value[-1] -= steeper * border
    return state


class Ours:
    """Detection and landmarks as extraction does them, of one process."""

    def __init__(self, store: Given) -> None:
        self._detector: Detector = _plugins.load("detect", "s3fd").create(store, device="cpu")
        self._landmarker: Landmarker = _plugins.load("landmark", "fan2d").create(store, device="cpu")

    def whole(self, frame: Float) -> Boxes:
        (found,) = self._detector.detect([frame], SMALLEST)
        return self._marked(frame, found)

    def windows(self, frame: Float, before: Boxes) -> Boxes:
        """The same faces as on the frame before, looked for around where they were."""
        for box in before:
            side = max(box[2] - box[0], box[3] - box[1])
            corner = ((box[i] + box[i + 2]) / 2.0 - WINDOW / 2.0 * side for i in (0, 1))
            x, y = (
                int(np.clip(v, 0, length - 32)) for v, length in zip(corner, frame.shape[1::-1], strict=True)
            )
            crop = frame[y : y + max(32, int(WINDOW * side)), x : x + max(32, int(WINDOW * side))]
            scale = min(1.0, LOOKED / max(crop.shape[:2]))
            small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            shown: Float = small.astype(np.float32)
            self._detector.detect([shown], scale * side / 2.0)
        nothing = np.zeros((0, 2), np.float32)
        return self._marked(frame, [Detection(box=box, score=1.0, keypoints=nothing) for box in before])

    def _marked(self, frame: Float, found: Sequence[Detection]) -> Boxes:
        self._landmarker.landmarks([Look(proxy=frame, detection=d) for d in found])
        return [d.box for d in found]


def _timed(work: Callable[[Float], Boxes], frames: Sequence[Float]) -> tuple[float, list[Boxes]]:
    """Seconds a frame, and what came of each."""
    work(frames[0])
    began = time.perf_counter()
    found = [work(frame) for frame in frames]
    return (time.perf_counter() - began) / len(frames), found


_mine: Ours  # of a worker process


def _begin(store: Given) -> None:
    global _mine  # noqa: PLW0603 - a worker's own
    torch.set_num_threads(1)
    _mine = Ours(store)


def _block(frames: Sequence[Float], follow: bool) -> list[Boxes]:
    found = [_mine.whole(frames[0])]
    for frame in frames[1:]:
        found.append(_mine.windows(frame, found[-1]) if follow else _mine.whole(frame))
    return found


def _spread(store: Given, frames: Sequence[Float], *, follow: bool = False) -> tuple[float, list[Boxes]]:
    """A process a core, a block of frames each at a time."""
    cores = os.cpu_count() or 1
    blocks = [list(frames)[i : i + EVERY] for i in range(0, len(frames), EVERY)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, context, _begin, (store,)) as pool:
        list(pool.map(_block, [blocks[0][:1]] * cores, [False] * cores))
        began = time.perf_counter()
        found = [boxes for part in pool.map(_block, blocks, [follow] * len(blocks)) for boxes in part]
    return (time.perf_counter() - began) / len(frames), found


def _theirs(store: Given, frames: Sequence[Float], *, compiled: bool) -> tuple[float, list[Boxes]]:
    """The package, given 8-bit frames as it takes them."""
    import face_alignment
    from face_alignment.models import FAN

    class Peer(face_alignment.FaceAlignment):  # type: ignore[misc]
        """With weights from a file instead of from its makers' server."""

        def _load_native(self, *_: Any) -> Any:
            network = FAN(4)
            network.load_state_dict(torch.load(store.path("2dfan4"), weights_only=True))
            return network.eval()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = Peer(
            face_alignment.LandmarksType.TWO_D,
            device="cpu",
            flip_input=False,
            face_detector="sfd",
            face_detector_kwargs={"path_to_detector": str(store.path("s3fd"))},
            compile=compiled,
        )

        def work(frame: Float) -> Boxes:
            picture = np.rint(frame * 255.0).astype(np.uint8)
            _, _, found = peer.get_landmarks_from_image(picture, return_bboxes=True)
            rows = [] if found is None else found
            return [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1, *_ in rows]

        return _timed(work, frames)


def _apart(wanted: Sequence[Boxes], found: Sequence[Boxes]) -> float:
    """Largest difference of two sides' boxes; infinite where one has more faces."""
    if [len(boxes) for boxes in wanted] != [len(boxes) for boxes in found]:
        return float("inf")
    pairs = ((sorted(a), sorted(b)) for a, b in zip(wanted, found, strict=True))
    return max((float(np.abs(np.array(a) - np.array(b)).max()) for a, b in pairs if a), default=0.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.peer", description=__doc__.splitlines()[0])
    parser.add_argument("--compiled", action="store_true", help="the package's torch.compile too: minutes")
    main(compiled=parser.parse_args().compiled)
