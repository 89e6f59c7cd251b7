"""Small segmenters on disk by the real writer, and labels for small facesets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from tests.core import shots
from understudy.core import _plugins, plate
from understudy.core.colour import SwapCurve
from understudy.core.faceset import Faceset
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.polygons import Polygon
from understudy.core.frames import Frame
from understudy.core.segment import store
from understudy.core.segment.config import SegmenterConfig

SMALL = SegmenterConfig(resolution=64, channels=2)


def make(folder: Path, config: SegmenterConfig = SMALL, *, seed: int = 0, **state) -> Path:
    """A segmenter that has learnt nothing; another `seed` is another one."""
    family = _plugins.load("segmenter", config.network)
    net = family.build(config)
    family.initialise(net, torch.Generator().manual_seed(seed))
    curve = SwapCurve(gain=1.0)
    said = store.State(
        iteration=7,
        seconds=90.0,
        curve={"knee": curve.knee, "maximum": curve.maximum},
        working_space="ACEScg",
        **state,
    )
    store.create(folder, config)
    store.save(folder, said, net.state_dict(), {})
    return folder


def label(folder: Path, numbers: Iterable[int], track: int = 0) -> Path:
    """Label the faces of these frames, each by an ellipse in its crop."""
    faceset = Faceset.open(folder)
    turn = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    for record in faceset.records:
        if record.face.frame in set(numbers) and record.face.track == track:
            side = record.alignment.size
            points = np.stack([0.5 + 0.3 * np.cos(turn), 0.5 + 0.4 * np.sin(turn)], axis=1) * side
            drawn = Polygon(include=True, points=points)
            given = Label(kind="polygons", polygons=(drawn,), alignment=record.alignment, origin="a test")
            Labels(faceset).write(record, given)
    return folder


def roto(folder: Path, numbers: Iterable[int], *, invert: bool = False) -> str:
    """Mattes in plate space of the small shots' faces, as a host renders them; their pattern."""
    for number in numbers:
        points = shots.face_at(number).landmarks.points
        x, y = points.mean(axis=0)
        v, u = np.mgrid[: shots.DISPLAY.height, : shots.DISPLAY.width] + 0.5
        inside = (((u - x) / 24.0) ** 2 + ((v - y) / 28.0) ** 2 < 1.0).astype(np.float16)
        matte = 1 - inside if invert else inside
        frame = Frame(number=number, planes={"A": matte}, display=shots.DISPLAY, data=shots.DISPLAY)
        folder.mkdir(parents=True, exist_ok=True)
        plate.write(frame, folder / f"roto.{number:04d}.exr")
    return str(folder / "roto.%04d.exr")
