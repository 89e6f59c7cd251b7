"""From models and their backups to messages of `understudy.v1`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from google.protobuf import timestamp_pb2

from understudy.core import release
from understudy.core.errors import ReleaseInvalid
from understudy.core.model.backups import Backup
from understudy.core.model.presets import ModelConfig
from understudy.core.model.store import State
from understudy.daemon import encode
from understudy.daemon.text import text, texts
from understudy.v1 import resource_pb2


def model(path: Path, config: ModelConfig, preset: str) -> resource_pb2.Model:
    """What is fixed about a model; `preset` is empty where it is of none."""
    return resource_pb2.Model(
        path=text(path),
        architecture=config.arch,
        preset=preset,
        resolution=config.resolution,
        face_type=config.face_type,
        options=config.options,
        e_dims=config.e_dims,
        d_dims=config.d_dims,
        d_mask_dims=config.d_mask_dims,
        ae_dims=config.ae_dims,
    )


def trained(message: resource_pb2.Model, state: State, elements: Mapping[str, int]) -> None:
    """Add what training has made of it; `elements` is how many numbers each of its parts has."""
    message.id, message.iteration = state.digest, state.iteration
    message.time_spent.FromMilliseconds(round(state.seconds * 1000))
    message.parameters = sum(elements.values())
    message.part_parameters.update(elements)
    message.losses.update(state.losses)
    message.release_ids.extend(record.id for record in state.releases)
    message.releases.extend(map(_released, state.releases))
    message.way, message.pretrained, message.average = state.way, state.pretrained, state.average
    message.combined.update(state.combined)
    message.changes.extend(
        resource_pb2.ModelChange(iteration=each["iteration"], options=each["options"])
        for each in state.changes
    )
    message.src_id, message.dst_id = state.src, state.dst
    message.working_space = text(state.working_space)
    message.versions.update(texts(state.versions))


def backup(kept: Backup) -> resource_pb2.ModelBackup:
    """A backup; one that cannot be read has neither id nor iteration."""
    written = timestamp_pb2.Timestamp()
    written.FromDatetime(kept.written)
    message = resource_pb2.ModelBackup(name=text(kept.name), create_time=written)
    if kept.state is not None:
        message.id, message.iteration = kept.state.digest, kept.state.iteration
        message.time_spent.FromMilliseconds(round(kept.state.seconds * 1000))
    return message


def _released(record: release.Release) -> resource_pb2.ModelRelease:
    """A record, and whether it holds today."""
    message = resource_pb2.ModelRelease(release=encode.release(record), valid=True)
    try:
        release.check(record, date.today(), "this model")
    except ReleaseInvalid as error:
        message.valid, message.message = False, text(error.message)
    return message
