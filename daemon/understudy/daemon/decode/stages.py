"""The specs of whole stages, but for extraction, training and merge: ingest, verify, and what goes beside them."""

from __future__ import annotations

from pathlib import Path

from understudy.core import verify
from understudy.core.errors import InvalidInput
from understudy.core.plate.video import probe
from understudy.daemon.decode import families
from understudy.daemon.decode.settings import CheckPlate, Ingest, Pull, Torture, Verify, Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, named, one_of
from understudy.v1 import job_pb2

FIRST_FRAME = 1001
VIDEO_OUT = ".exr"


def ingest(spec: job_pb2.IngestSpec, refs: Refs) -> Work:
    template = refs.sequence_out(spec.pattern, "ingest.pattern")
    if template.extension != VIDEO_OUT:
        raise InvalidInput(
            f"ingest.pattern: {spec.pattern!r} must end in {VIDEO_OUT}",
            field="ingest.pattern",
            value=spec.pattern,
        )
    space = spec.colour_space and refs.colour.resolve(spec.colour_space, "ingest.colour_space")
    frames = refs.frames(spec.frames, "ingest.frames")
    refs.site.limits.hold("frames of a job:", "frames_per_job", len(frames or ()), "ingest.frames")
    video = refs.file(spec.video, "ingest.video")
    with named("ingest"):
        probe(video)
    settings = Ingest(
        video=video,
        template=template,
        first=spec.first if spec.HasField("first") else FIRST_FRAME,
        frames=frames,
        colour_space=space or "auto",
    )
    outputs = (Output.of_sequence(template, frames),)
    return Work(settings=settings, outputs=outputs, label=f"ingest {settings.video.name}")


def verify_(spec: job_pb2.VerifySpec, refs: Refs) -> Work:
    output = refs.plate(spec.output, "verify.output", colour=False)
    if spec.HasField("plate"):
        plate = refs.plate(spec.plate, "verify.plate", colour=False).template
    elif refs.will_be(Output.of_sequence(output.template, None)):
        plate = None
    else:
        with named("verify"):
            plate = verify.plate_of(output.template, output.frames)
        refs.named_by_headers(plate, output, "verify.plate")
    settings = Verify(output=output, plate=plate)
    return Work(settings=settings, outputs=(), label=f"verify {Path(output.template.hashes).name}")


def pull_weights(spec: job_pb2.PullWeightsSpec, refs: Refs) -> Work:
    known = [entry.name for entry in refs.site.weights().entries()]
    for name in spec.names:
        one_of(name, known, "pull_weights.names")
    names = tuple(spec.names) or families.needed(families.DEFAULTS)
    for name in names:
        refs.site.weights().usable(name)
    outputs = tuple(families.weights_output(refs.site, name) for name in names)
    return Work(settings=Pull(names=names), outputs=outputs, label=f"pull weights {', '.join(names)}")


def check_plate(spec: job_pb2.CheckPlateSpec, refs: Refs) -> Work:
    plate = refs.plate(spec.plate, "check_plate.plate", colour=False)
    label = f"check {Path(plate.template.hashes).name}"
    return Work(settings=CheckPlate(plate=plate), outputs=(), label=label)


def torture(spec: job_pb2.TortureSpec, refs: Refs) -> Work:
    folder = refs.folder_out(spec.folder, "torture.folder")
    outputs = (Output.of_folder(folder),)
    return Work(settings=Torture(folder=folder), outputs=outputs, label=f"torture {folder.name}")
