"""How near our networks come to their published originals: one table. The networks' tests call the same functions.

An original runs beside ours where it is a package of the index (face-alignment); what others gave for the same
weights and the same pictures was recorded once (`tests/golden/networks.json` says by which program). Weights that are
not part of the project are looked for in `$UNDERSTUDY_WEIGHTS`, a folder.
"""

from __future__ import annotations

import importlib
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bench import common, parity_detect, parity_segment
from understudy.core.errors import LicenceNotAccepted, WeightsMissing
from understudy.core.face import Detection
from understudy.core.landmark import _square, fan2d, pfld, prnet
from understudy.core.pose import fsanet
from understudy.core.weights import WeightStore

_GOLDEN = Path(__file__).parents[1] / "tests/golden/networks.json"


@dataclass(frozen=True, kw_only=True)
class Parity:
    """One comparison: the largest difference found, in the outputs' own unit, and what it may be."""

    network: str
    reference: str
    compared: str
    difference: float
    limit: float


class NotHere(Exception):
    """What a comparison needs is not on this machine; says what."""


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """The network with weights of sensible size and normalisations that do something, for evaluation."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith(("running_var", "norm.weight")) or (
                value.dim() == 1 and name.endswith("weight")
            ):
                value.uniform_(0.6, 1.4, generator=generator)
            elif value.dim() > 1:
                value.normal_(0.0, (3.0 * value[0].numel()) ** -0.5, generator=generator)
            elif value.is_floating_point():
                value.normal_(0.0, 0.1, generator=generator)
    return module.eval()


@cache
def fan_pair() -> tuple[nn.Module, fan2d.Network]:
    """The package's 2DFAN-4 and ours with the same random weights."""
    theirs = randomised(_face_alignment("models").FAN(4))
    return theirs, fan2d.network(theirs.state_dict(), Path("random"))


def fan() -> list[Parity]:
    """2DFAN-4 beside the package: heatmaps, points read from them, and points in the picture before it cuts them."""
    theirs, ours = fan_pair()
    utils = _face_alignment("utils")
    pictures = torch.rand((2, 3, 256, 256), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted, heat = theirs(pictures)[-1].numpy(), ours(pictures).contiguous().numpy()
    cells, _, peaks = utils.get_preds_fromhm(wanted.copy())
    read = [fan2d.decode(h) for h in heat]
    in_cells = max(np.abs(points - c).max() for (points, _), c in zip(read, cells, strict=True))
    in_peaks = max(np.abs(peak - p).max() for (_, peak), p in zip(read, peaks, strict=True))
    detection = Detection(
        box=(100.25, 80.5, 290.75, 301.0), score=1.0, keypoints=np.zeros((0, 2), np.float32)
    )
    square = fan2d.squares_of(detection)[1]
    centre, scale = fan_square(detection)
    placed = [
        _square.back(square, points) + 0.5 - (c * (200.0 * scale / 64.0) + centre - 100.0 * scale)
        for (points, _), c in zip(read, cells, strict=True)
    ]
    reference = "face-alignment 1.5.0, same random weights"
    return [
        _row("2DFAN-4", reference, "heatmaps, 68×64×64", np.abs(heat - wanted).max(), 1e-4),
        _row("2DFAN-4", reference, "points, cells of the heatmap", in_cells, 1e-4),
        _row("2DFAN-4", reference, "points, pixels of the picture", np.abs(placed).max(), 1e-4),
        _row("2DFAN-4", reference, "peaks", in_peaks, 1e-4),
    ]


def fan_square(detection: Detection) -> tuple[npt.NDArray[np.float64], float]:
    """The centre (2,) and scale (of 200 pixels) that the package looks at a box with."""
    x0, y0, x1, y1 = detection.box
    return np.array([(x0 + x1) / 2.0, (y0 + y1) / 2.0 - 0.12 * (y1 - y0)]), (x1 - x0 + y1 - y0) / 195.0


def pfld_(store: WeightStore) -> list[Parity]:
    """PFLD through OpenCV beside what onnxruntime gave."""
    golden = _golden("pfld")
    pictures = np.random.default_rng(2).random((2, 3, 112, 112), dtype=np.float32)
    ramp = np.linspace(0.0, 1.0, 112, dtype=np.float32)
    pictures[1] = ramp[None, :, None] * np.array([1.0, 0.6, 0.3], np.float32)[:, None, None]
    network = pfld.Network(_path(store, "pfld"))
    found = np.concatenate([network(picture[None]) for picture in pictures]).reshape(2, -1)
    difference = np.abs(found - np.array(golden["points"])).max()
    return [_row("PFLD", golden["by"], "points, sides of the square", difference, 1e-4)]


def prnet_() -> list[Parity]:
    """PRNet with weights made by a rule beside what TensorFlow gave with the same."""
    golden = _golden("prnet")
    network = prnet.network(prnet_variables(), Path("random"))
    picture = np.random.default_rng(3).random((1, 256, 256, 3), dtype=np.float32)
    with torch.inference_mode():
        position = network(torch.from_numpy(picture).permute(0, 3, 1, 2))[0].permute(1, 2, 0).numpy()
    difference = np.abs(position[5::25, 3::28].reshape(-1) - np.array(golden["map"])).max()
    return [_row("PRNet", golden["by"], "position map, 0 to 1", difference, 1e-5)]


def prnet_variables() -> dict[str, Tensor]:
    """Variables by the published names, in TensorFlow's axes; each drawn by its own name, so that any program can."""
    variables = {}
    for name, value in prnet.Network().state_dict().items():
        stem, _, last = name.rpartition(".")
        if last == "num_batches_tracked":
            continue
        kinds = {
            "weight": "gamma",
            "bias": "beta",
            "running_mean": "moving_mean",
            "running_var": "moving_variance",
        }
        kind = "weights" if value.dim() == 4 else kinds[last]
        full = f"resfcn256/{stem.replace('.', '/')}/{kind}"
        rng = np.random.default_rng(zlib.crc32(full.encode()))
        shape = tuple(value.permute(2, 3, 1, 0).shape) if value.dim() == 4 else tuple(value.shape)
        if kind == "weights":
            drawn = rng.normal(0.0, 1.2 / np.sqrt(shape[0] * shape[1] * max(shape[2:])), shape)
        elif kind in ("gamma", "moving_variance"):
            drawn = rng.uniform(0.6, 1.4, shape)
        else:
            drawn = rng.normal(0.0, 0.1, shape)
        variables[full] = torch.from_numpy(drawn.astype(np.float32))
    return variables


def fsanet_(store: WeightStore) -> list[Parity]:
    """FSA-Net's two networks beside what the authors' Keras models gave."""
    golden = _golden("fsanet")
    pictures = np.random.default_rng(4).integers(0, 256, (4, 64, 64, 3)).astype(np.float32)
    ramp = np.linspace(0.0, 255.0, 64)
    pictures[2] = ramp[None, :, None]
    pictures[3] = ramp[:, None, None] * np.array([1.0, 0.5, 0.2])
    batch = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    rows = []
    for name in fsanet.WEIGHTS:
        with torch.inference_mode():
            angles = fsanet.load(_path(store, name))(batch).numpy()
        difference = np.abs(angles - np.array(golden["yaw_pitch_roll"][name])).max()
        rows.append(_row(f"FSA-Net ({name})", golden["by"].partition(":")[0], "degrees", difference, 1e-3))
    return rows


def s3fd_() -> list[Parity]:
    """S3FD beside the package."""
    try:
        theirs = randomised(parity_detect.face_alignment())
    except ImportError as error:
        raise NotHere(f"S3FD: the package face-alignment is not here: {error}") from error
    return [_row(*row) for row in parity_detect.s3fd_(theirs)]


def xseg_() -> list[Parity]:
    """XSeg beside what DeepFaceLab gave with the same weights."""
    file = Path(os.environ.get("UNDERSTUDY_SHARED", "../shared")) / "golden/dfl/xseg.npz"
    if not file.is_file():
        raise NotHere(f"XSeg: DeepFaceLab's golden vectors are not here: {file}")
    with np.load(file) as golden:
        return [_row(*row) for row in parity_segment.xseg_(golden)]


CHECKS: tuple[Callable[[WeightStore], list[Parity]], ...] = (
    lambda _: s3fd_(),
    lambda store: [_row(*row) for row in parity_detect.retinaface_(_path(store, "retinaface"))],
    lambda _: [_row(*row) for row in parity_detect.resnet_()],
    lambda store: [_row(*row) for row in parity_detect.yunet_(_here(store, "yunet"))],
    lambda _: fan(),
    pfld_,
    lambda _: prnet_(),
    fsanet_,
    lambda _: xseg_(),
    lambda _: [_row(*row) for row in parity_segment.ternausnet_()],
)
"""Each family adds its own."""


def main() -> None:
    store = common.weights()
    rows: list[Parity] = []
    left_out: list[str] = []
    for check in CHECKS:
        _add(check, store, rows, left_out)
    common.show(
        "parity with the published networks",
        ("network", "reference", "compared", "largest difference", "limit"),
        [(r.network, r.reference, r.compared, f"{r.difference:.1e}", f"{r.limit:.0e}") for r in rows],
    )
    for why in left_out:
        print(f"left out: {why}")


def _add(
    check: Callable[[WeightStore], list[Parity]], store: WeightStore, rows: list[Parity], left_out: list[str]
) -> None:
    try:
        rows += check(store)
    except NotHere as error:
        left_out.append(str(error))


def _row(network: str, reference: str, compared: str, difference: Any, limit: float) -> Parity:
    return Parity(
        network=network, reference=reference, compared=compared, difference=float(difference), limit=limit
    )


def _golden(name: str) -> Any:
    return json.loads(_GOLDEN.read_text("utf-8"))[name]


def _path(store: WeightStore, name: str) -> Path:
    try:
        return store.path(name)
    except (LicenceNotAccepted, WeightsMissing) as error:
        raise NotHere(error.message) from error


def _here(store: WeightStore, name: str) -> WeightStore:
    _path(store, name)
    return store


def _face_alignment(module: str) -> Any:
    try:
        return importlib.import_module(f"face_alignment.{module}")
    except ImportError as error:
        raise NotHere(f"2DFAN-4: the package face-alignment is not here: {error}") from error


if __name__ == "__main__":
    main()
