"""Labelled faces made ready for a segmenter's training: crops and labels in one file, as `train.data` has them.

A label comes from a person (`faceset.labels`) or, for a face that nothing covers, is the hull of its landmarks:
augmentation then lays made-up things over it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.colour import SwapCurve
from understudy.core.errors import FrameUnreadable, InvalidInput, NoFace
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.labels import Label, Labels
from understudy.core.files import replacing
from understudy.core.frames import Float
from understudy.core.matte import soft
from understudy.core.matte.hull import hull
from understudy.core.reports import Warned
from understudy.core.segment.config import SegmenterConfig
from understudy.core.train import data
from understudy.core.train.data import SHARE, Crops

__all__ = ["SHARE", "Sample", "Samples", "cut", "prepare"]

PREFIX = "labels"  # of the files' names
_VERSION = 2  # of how crops and labels are cut


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Whose crop a row is.

    Attributes:
        faceset: its folder or pack.
        name: the file of the face in it.
        frame, track: of the face.
        labelled: its label is a person's; else it is the hull of its landmarks.
    """

    faceset: Path
    name: str
    frame: int
    track: int
    labelled: bool


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a segmenter learns from.

    Attributes:
        crops: (N, M, M, 4): colours as the network sees them, and the label in place of the matte.
        rows: whose they are, N, by faceset and in its order.
    """

    crops: Crops
    rows: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def digest(self) -> str:
        """Names the facesets' content, their labels and how all was cut."""
        return self.crops.digest

    @cached_property
    def labelled(self) -> npt.NDArray[np.int64]:
        """Which rows have a person's label."""
        return np.flatnonzero([row.labelled for row in self.rows])

    @cached_property
    def hulls(self) -> npt.NDArray[np.int64]:
        """Which rows have the hull of their landmarks for a label."""
        return np.flatnonzero([not row.labelled for row in self.rows])


@dataclass(frozen=True)
class _Job:
    """One face to cut."""

    faceset: Faceset
    labels: Labels
    record: FaceRecord
    labelled: bool

    @property
    def sample(self) -> Sample:
        face = self.record.face
        return Sample(
            faceset=self.faceset.path,
            name=self.record.path.name,
            frame=face.frame,
            track=face.track,
            labelled=self.labelled,
        )


def prepare(
    facesets: Sequence[Faceset],
    folder: Path,
    config: SegmenterConfig,
    curve: SwapCurve,
    *,
    self_label: bool = False,
) -> Generator[Samples | Warned | None, None, None]:
    """Cut crops and labels into `folder`, unless they are there; yields None after each face, the samples at the end.

    A face or label that is gone or broken when its turn comes is left out with a warning; so is a face whose label
    lies beside it, as where a new extraction gave its name to somebody else.

    Args:
        curve: its gain is not used: each shot has its own.
        self_label: take all faces: those without a label have the hull of their landmarks for one.

    Raises:
        NoFace: no face has a label, or with `self_label` there is no face at all.
        InvalidInput: faces of several working spaces; a face with two labels.
        FrameUnreadable: more than a tenth of the faces cannot be read; names the first.
        WriteFailed, DiskFull: the file could not be written.
    """
    jobs = _all(facesets, self_label)
    where = ", ".join(str(faceset.path) for faceset in facesets)
    if not jobs:
        what = "face" if self_label else "label"
        raise NoFace(f"{where}: there is no {what} to train on", path=facesets[0].path, field="facesets")
    named = _digest(jobs, config, curve)
    file = folder / f"{PREFIX}-{named[:16]}.npy"
    kept = _kept(file, len(jobs))
    if kept is None:
        kept = yield from _write(file, jobs, config, curve, where)
    elif lost := len(jobs) - len(kept):
        yield data.left_out(lost, where, file)
    yield Samples(crops=Crops.open(file, named), rows=tuple(jobs[place].sample for place in kept))


def digest(
    facesets: Sequence[Faceset], config: SegmenterConfig, curve: SwapCurve, *, self_label: bool = False
) -> str:
    """That `prepare` would give its samples.

    Raises:
        InvalidInput: as there.
    """
    return _digest(_all(facesets, self_label), config, curve)


def _all(facesets: Sequence[Faceset], self_label: bool) -> list[_Job]:
    if not facesets:
        raise InvalidInput("facesets: none is named", field="facesets")
    data.one_space(facesets, "facesets")
    return [job for faceset in facesets for job in _jobs(faceset, self_label)]


def _jobs(faceset: Faceset, self_label: bool) -> list[_Job]:
    labels = Labels(faceset)
    known = labels.names()
    records, names = faceset.records, faceset.columns.name.tolist()
    return [
        _Job(faceset, labels, records[row], name in known)
        for row, name in enumerate(names)
        if self_label or name in known
    ]


def _write(
    file: Path, jobs: Sequence[_Job], config: SegmenterConfig, curve: SwapCurve, where: str
) -> Generator[Warned | None, None, list[int]]:
    """The crops and, beside them, of which of the jobs they are."""

    def one(job: _Job) -> Float:
        label = job.labels.read(job.record) if job.labelled else None
        if label is not None and label.misses(job.record.alignment):
            raise FrameUnreadable(
                f"{job.record.path}: nothing of its label, made from {label.origin}, lies on it: it is another "
                "face's; label it anew, or clear the label",
                path=job.record.path,
            )
        return cut(job.faceset.load(job.record), job.record, config, curve, label)

    data.remove(file.parent, PREFIX)
    for old in file.parent.glob(f"{PREFIX}-*.json"):
        old.unlink()
    with replacing(file) as beside, beside.open("wb") as opened:
        kept = yield from data.write(opened, jobs, one, data.side_of(config.resolution), where)
        with replacing(file.with_suffix(".json")) as rows:
            rows.write_text(json.dumps({"faces": len(jobs), "kept": kept}), encoding="utf-8")
    return kept


def _kept(file: Path, total: int) -> list[int] | None:
    """Which of `total` jobs an earlier session cut into `file`; None if there is no such file to go by."""
    try:
        said: Mapping[str, Any] = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        kept = [int(place) for place in said["kept"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = file.is_file() and said.get("faces") == total and all(0 <= place < total for place in kept)
    return kept if whole else None


def cut(
    rgb: Float, record: FaceRecord, config: SegmenterConfig, curve: SwapCurve, label: Label | None = None
) -> Float:
    """(M, M, 4) float32: a face's pixels (S, S, 3) in the working space as the network is to see them, and its label.

    Args:
        label: None takes the hull of the landmarks.
    """
    wanted = data.alignment(record, config.face_type, config.resolution)
    if label is None:
        matte = soft(hull, wanted.apply(record.face.landmarks.points), (wanted.size,) * 2)
    else:
        matte = np.clip(label.drawn(wanted), 0, 1)
    return np.concatenate([data.colours(rgb, record, wanted, curve), matte[..., None]], axis=2)


def _digest(jobs: Sequence[_Job], config: SegmenterConfig, curve: SwapCurve) -> str:
    made_of: list[Any] = [_VERSION, config.resolution, config.face_type, SHARE, curve.knee, curve.maximum]
    facesets = {id(job.faceset): job.faceset for job in jobs}
    made_of.append([faceset.digest() for faceset in facesets.values()])
    made_of += [
        (job.record.path.name, job.labels.digest(job.record) if job.labelled else None) for job in jobs
    ]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
