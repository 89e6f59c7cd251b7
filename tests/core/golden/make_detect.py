"""What independent programs make of the same networks: numbers that our detectors are held against.

Made by `python -m tests.core.golden.make_detect RETINAFACE.pth YUNET.onnx` where facexlib 0.3.0 (RetinaFace, with
torchvision's ResNet) and onnxruntime 1.22.1 are installed, which our tests need not be. The weights are those of the
registry, `retinaface` and `yunet`. Those of ResNet-50 are made up by `weights_of`, as the published ones are 110 MB.

detect.npz holds:
    {mobilenet,resnet}.{box,score,points}: facexlib's outputs for `picture()`: (N, 4), (N,) and (N, 10), N anchors
    yunet.{astronaut,hopper}: (1, 15) the face of a still as FaceDetectorYN would have it: onnxruntime's, decoded here
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from bench.parity_detect import FILE, picture, weights_of
from bench.stills import STILLS


def retinaface(kind: str, weights: Path | None) -> dict[str, np.ndarray]:
    """facexlib's raw outputs."""
    network = import_module("facexlib.detection.retinaface").RetinaFace(kind, device="cpu")
    if weights is None:
        network.load_state_dict(weights_of(network.state_dict()))
    else:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    with torch.inference_mode():
        box, scores, points = network(torch.from_numpy(picture()))
    return {"box": box[0].numpy(), "score": scores[0, :, 1].numpy(), "points": points[0].numpy()}


def yunet(network: Path, still: str) -> np.ndarray:
    """(1, 15): the best face of a still, decoded with numpy alone."""
    rgb = STILLS[still].load()
    height, width = (32 * -(-side // 32) for side in rgb.shape[:2])
    blob = np.zeros((1, 3, height, width), np.float32)
    blob[0, :, : rgb.shape[0], : rgb.shape[1]] = rgb[..., ::-1].transpose(2, 0, 1)
    session = import_module("onnxruntime").InferenceSession(str(network))
    names = [output.name for output in session.get_outputs()]
    out = dict(zip(names, session.run(None, {session.get_inputs()[0].name: blob}), strict=True))
    found = []
    for stride in (8, 16, 32):
        cls, obj, box, kps = (out[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps"))
        score = np.sqrt(cls[:, 0].clip(0, 1) * obj[:, 0].clip(0, 1))
        cell = np.stack(np.unravel_index(np.arange(len(score)), (height // stride, width // stride))[::-1], 1)
        size = np.exp(box[:, 2:]) * stride
        corner = (cell + box[:, :2]) * stride - size / 2
        points = (kps.reshape(-1, 5, 2) + cell[:, None]) * stride
        found.append(np.concatenate((corner, size, points.reshape(-1, 10), score[:, None]), axis=1))
    rows = np.concatenate(found)
    return rows[[rows[:, 14].argmax()]].astype(np.float32)


def main() -> None:
    weights, network = map(Path, sys.argv[1:])
    networks = {"mobilenet": retinaface("mobile0.25", weights), "resnet": retinaface("resnet50", None)}
    numbers = {f"{kind}.{name}": value for kind, out in networks.items() for name, value in out.items()}
    numbers |= {f"yunet.{still}": yunet(network, still) for still in ("astronaut", "hopper")}
    np.savez_compressed(FILE, allow_pickle=False, **numbers)


if __name__ == "__main__":
    main()
