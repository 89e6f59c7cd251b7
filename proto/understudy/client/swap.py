"""A whole swap as a chain of jobs: videos become plates, plates facesets, facesets a model, the model frames.

`plan` is a function of the settings alone: the same settings name the same folders and specs, so that the
same command again attaches to work under way, skips what is finished and does nothing twice. What another
source, range or preset makes lies in a folder of its own, so that no faceset or model is ever a mixture of
two.

    OUT.####.exr                        finished frames, by the daemon's merge
    OUT_work/plates/dst-<name>-<id>/    a video's frames
    OUT_work/facesets/src-<name>-<id>/  aligned faces
    OUT_work/models/<preset>-<id>/
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from understudy.client import frames as ranges
from understudy.client import specs
from understudy.client.errors import NotFound, Refused, ReleaseRequired, Unreachable, WeightsMissing
from understudy.client.job import Event, Job, frame_state_name
from understudy.v1 import job_pb2 as pb
from understudy.v1.common_pb2 import FrameSegment
from understudy.v1.recipe_pb2 import Recipe

if TYPE_CHECKING:
    from understudy.client.session import Session

DEFAULT_MINUTES = 10.0
MAKE_A_RELEASE = (
    "understudy release create --kind test --subject performer-a "
    '--granted-by "test clip" --out a.release.json'
)
_TOKEN = re.compile(r"%0?\d*d|#+|@+")


@dataclass(frozen=True)
class SwapSettings:
    """What a swap is made of.

    Attributes:
        src: video or plate with the face that is put on.
        dst: video or plate with the performance that stays.
        output: pattern of the finished frames.
        frames: which frames of dst; None for all. A video's first frame is 1001.
        src_frames: which frames of src; None for all.
        preset: of the model; empty for the daemon's default.
        iterations, minutes: totals of training over the model's life, whichever is reached first; with
            neither, `DEFAULT_MINUTES`.
        release: path of the release record of src; may be empty when the src faceset carries one already.
        work: folder of everything in between; empty for `<output's stem>_work` beside the output.
        src_track, dst_track: which person, where there are several.
        src_colour_space, dst_colour_space: as the colour config calls them; empty for what the files say.
        views: of a stereo dst, the names of those to work on; none for all.
        recipe: the look; None for the defaults.
        device: `auto`, `cpu`, `cuda`, `cuda:N`; empty for `auto`.
        seed: of the training.
        layers: which of the layers a compositor works with are written beside the finished picture, by name; True is
            all, False none.
        segmenter: folder of one, where the recipe's mask names `occ` or `occ_face`.
        enhancer: folder of one, where the recipe's super_resolution is `trained`.
        user_mattes: mattes of dst in plate space by which a person says where the face goes.
    """

    src: specs.PathLike
    dst: specs.PathLike
    output: specs.PathLike
    frames: specs.Frames = None
    src_frames: specs.Frames = None
    preset: str = ""
    iterations: int | None = None
    minutes: float | None = None
    release: specs.PathLike = ""
    work: specs.PathLike = ""
    src_track: int | None = None
    dst_track: int | None = None
    src_colour_space: str = ""
    dst_colour_space: str = ""
    views: Sequence[str] = ()
    recipe: Recipe | None = None
    device: str = ""
    seed: int = 0
    layers: bool | Sequence[str] = True
    segmenter: specs.PathLike = ""
    enhancer: specs.PathLike = ""
    user_mattes: Sequence[specs.UserMatte] = ()

    def work_folder(self) -> PurePosixPath:
        """Where everything in between lies.

        Raises:
            Refused: the output has no frame token to take a stem from.
        """
        output = PurePosixPath(specs.absolute(self.output))
        if not _TOKEN.search(output.name):
            raise Refused.invalid(
                "output", self.output, f"{self.output}: no frame token; write e.g. {output.stem}.####.exr"
            )
        return PurePosixPath(specs.absolute(self.work) or output.parent / f"{_stem(output)}_work")


@dataclass(frozen=True)
class Stage:
    """One job to be: `needs` are the names of the stages whose results it reads."""

    name: str
    spec: pb.JobSpec
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Side:
    """src or dst: where its plate and faceset lie, and the stages that make them."""

    role: str
    given: specs.PathLike
    frames: list[FrameSegment]
    colour_space: str
    work: PurePosixPath
    release: specs.PathLike = ""
    views: Sequence[str] = ()

    @property
    def source(self) -> PurePosixPath:
        return PurePosixPath(specs.absolute(self.given))

    @property
    def plate(self) -> specs.Plate:
        if not specs.is_video(self.source):
            return specs.Plate(self.source, self.frames, self.colour_space, self.views)
        name = _stem(self.source)
        folder = self.work / "plates" / f"{self.role}-{name}-{_digest(self.source)}"
        return specs.Plate(folder / f"{name}.%04d.exr", self.frames)

    @property
    def faceset(self) -> str:
        # src's range is part of its name: a shorter one takes faces away that the faceset would go on
        # holding. dst's may grow from a test of some frames to the whole shot, with the same model.
        salt = ranges.text(self.frames) if self.role == "src" else ""
        return str(self.work / "facesets" / f"{self.role}-{_stem(self.source)}-{_digest(self.source, salt)}")

    def stages(self) -> list[Stage]:
        extract = specs.extract(self.plate, self.faceset, release=self.release)
        if specs.is_video(self.source):
            ingest = specs.ingest(
                self.source, self.plate.pattern, frames=self.frames, colour_space=self.colour_space
            )
            return [
                Stage(f"ingest {self.role}", ingest),
                Stage(f"extract {self.role}", extract, (f"ingest {self.role}",)),
            ]
        if not _TOKEN.search(self.source.name):
            raise Refused.invalid(
                self.role,
                self.given,
                f"{self.given}: neither a video nor a plate; a plate has a frame token, e.g. plate.####.exr",
            )
        return [Stage(f"extract {self.role}", extract)]


def plan(settings: SwapSettings, preset: str) -> list[Stage]:
    """The stages in the order of their work.

    Args:
        preset: what the model folder is named after: the settings' preset, or the daemon's default.

    Raises:
        Refused: a path or range that cannot be.
    """
    work, given = settings.work_folder(), settings
    src_frames, dst_frames = specs.segments(given.src_frames, "src_frames"), specs.segments(given.frames)
    src = _Side("src", given.src, src_frames, given.src_colour_space, work, given.release)
    dst = _Side("dst", given.dst, dst_frames, given.dst_colour_space, work, views=given.views)
    identity = _digest(src.faceset, dst.faceset, given.src_track, given.dst_track)
    model = work / "models" / f"{preset}-{identity}"
    no_target = given.iterations is None and given.minutes is None
    train = specs.train(
        model,
        src.faceset,
        dst.faceset,
        preset=preset,
        iterations=given.iterations,
        minutes=DEFAULT_MINUTES if no_target else given.minutes,
        seed=given.seed,
        device=given.device,
        src_track=given.src_track,
        dst_track=given.dst_track,
    )
    merge = specs.merge(
        dst.plate,
        dst.faceset,
        model,
        given.output,
        look=given.recipe,
        track=given.dst_track,
        layers=given.layers,
        segmenter=given.segmenter,
        enhancer=given.enhancer,
        user_mattes=given.user_mattes,
        device=given.device,
    )
    before = [*src.stages(), *dst.stages()]
    return [
        *before,
        Stage("train", train, ("extract src", "extract dst")),
        Stage("merge", merge, (*(stage.name for stage in dst.stages()), "train")),
    ]


def _stem(path: PurePosixPath) -> str:
    """The file's name without suffix and frame token: `sh010_plate` of `sh010_plate.####.exr`."""
    return _TOKEN.sub("", path.stem).strip("._- ") or "frames"


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr([str(p) for p in parts]).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class SwapResult:
    """What a swap has made.

    Attributes:
        output: pattern of the finished frames.
        artifacts: all files of all jobs that a person may want to open.
        frames: number of output frames by state: `DONE`, `SKIPPED`, `NO_FACE`, `MISSING`, `FAILED`.
        failed: reports of the frames that failed.
        warned: reports of the frames on which something was noticed.
        seconds: wall time by stage.
    """

    output: str
    artifacts: tuple[pb.Artifact, ...]
    frames: dict[str, int]
    failed: tuple[pb.FrameReport, ...]
    warned: tuple[pb.FrameReport, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    def artifact(self, kind: str) -> str:
        """Path of the latest artifact of a kind; empty where there is none."""
        return next((a.path for a in reversed(self.artifacts) if a.kind == kind), "")


class Swap:
    """A handle on the jobs of one swap, in the order of their work. Made by `Session.swap`."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)

    def watch(self) -> Iterator[Event]:
        """The events of all jobs, one job after the other.

        Raises:
            JobFailed, JobCancelled: at the first job that did not end well.
        """
        for job in self.jobs:
            yield from job.watch()
            job.check()

    def wait(self) -> SwapResult:
        """Wait for the end.

        Raises:
            JobFailed, JobCancelled: at the first job that did not end well.
        """
        for job in self.jobs:
            job.wait()
        return self.result()

    def cancel(self) -> None:
        """Ask all jobs to stop that this swap has started, the last first, so that none starts in between."""
        cancel(self.jobs)

    def result(self) -> SwapResult:
        """What was made so far."""
        merge = self.jobs[-1]
        reports = list(merge.frames())
        counts = Counter(frame_state_name(r.state) for r in reports)
        return SwapResult(
            output=merge.message.spec.merge.output,
            artifacts=tuple(a for job in self.jobs for a in job.refresh().message.artifacts),
            frames=dict(counts),
            failed=tuple(r for r in reports if r.state == pb.FRAME_STATE_FAILED),
            warned=tuple(r for r in reports if r.warnings),
            seconds={job.label: job.seconds for job in self.jobs},
        )


def cancel(jobs: Sequence[Job]) -> None:
    """Cancel those that were not there before, the last first, so that none starts in between."""
    for job in reversed(jobs):
        if not job.existing and not job.refresh().ended:
            job.cancel()


def start(session: Session, settings: SwapSettings) -> Swap:
    """Start all jobs of a swap; they wait for each other in the daemon. Missing weights are fetched first.

    Raises:
        ReleaseRequired: src has no release record, or one that is not valid today; nothing was started.
        Refused: a setting cannot be; jobs that were started already are cancelled.
    """
    stages = plan(settings, settings.preset or session.default("preset"))
    _check_release(session, settings, stages)
    started: dict[str, Job] = {}
    try:
        for stage in stages:
            needs = [started[name] for name in stage.needs]
            try:
                started[stage.name] = session.start(stage.spec, label=stage.name, depends_on=needs)
            except WeightsMissing as error:
                if error.reason != "WEIGHTS_MISSING":
                    raise
                if "weights" not in started:  # the second stage comes while the first one's are on their way
                    started["weights"] = session.pull_weights(label="weights")
                needs.append(started["weights"])
                started[stage.name] = session.start(stage.spec, label=stage.name, depends_on=needs)
    except Unreachable:  # there is nobody to ask
        raise
    except BaseException:  # a refusal, a fault, or Ctrl-C: half a chain is of no use
        cancel(list(started.values()))
        raise
    return Swap(list(started.values()))


def _check_release(session: Session, settings: SwapSettings, stages: Sequence[Stage]) -> None:
    """Refuse now what the training would refuse after all frames were extracted."""
    if settings.release:
        answer = session.release(settings.release)
        if not answer.valid:
            raise ReleaseRequired(
                answer.message, reason="RELEASE_INVALID", metadata={"path": specs.absolute(settings.release)}
            )
        return
    faceset = next(s.spec.extract.faceset for s in stages if s.name == "extract src")
    try:
        released = session.faceset(faceset).release_id
    except NotFound:
        released = ""
    if not released:
        raise ReleaseRequired(
            f"src: no release record says that the face in {settings.src} may be used. Make one with\n"
            f"  {MAKE_A_RELEASE}\nand attach it with --release a.release.json",
            reason="RELEASE_MISSING",
            metadata={"field": "release"},
        )
