"""The specs of the stages but for training and merge, from a video to a checked comp, and of what goes beside them."""

from __future__ import annotations

from collections.abc import Iterable

from understudy.client.specs.parts import Frames, PathLike, Plate, absolute, plate, segments
from understudy.v1 import job_pb2 as pb
from understudy.v1.common_pb2 import Pick


def ingest(
    video: PathLike,
    pattern: PathLike,
    *,
    first: int | None = None,
    frames: Frames = None,
    colour_space: str = "",
) -> pb.JobSpec:
    """A video becomes a plate."""
    spec = pb.IngestSpec(
        video=absolute(video),
        pattern=absolute(pattern),
        first=first,
        frames=segments(frames),
        colour_space=colour_space,
    )
    return pb.JobSpec(ingest=spec)


def extract(
    given: PathLike | Plate,
    faceset: PathLike,
    *,
    detector: str = "",
    landmarker: str = "",
    face_type: str = "",
    size: int = 0,
    release: PathLike = "",
    pose: str = "",
    search_every: int = 0,
    smallest: float = 0.0,
    max_faces: int = 0,
    min_score: float | None = None,
    looks: int = 0,
    upright_only: bool = False,
    identity: str = "",
    pick: Pick | tuple[int, float, float] | None = None,
    reference: PathLike = "",
    reference_distance: float = 0.0,
    device: str = "",
    workers: int = 0,
) -> pb.JobSpec:
    """A plate becomes a faceset.

    Args:
        release: path of a release record to attach.
        search_every: the whole picture is searched every so many frames, and faces are followed in between.
        smallest: side in plate pixels of the smallest face looked for.
        max_faces: a frame, the largest; 0 for all.
        min_score: confidence of the landmarks below which a find is no face.
        looks: how many shifted looks each face's landmarks are averaged over.
        upright_only: do not look for heads that lean more than 45 degrees.
        pick: frame, x, y in plate pixels: keep only the person who stands there.
        reference: picture of a face: keep only who looks like it, within `reference_distance`, where 1 is as unlike as
            the identity's makers call another person.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        workers: processes on the CPU; 0 by the machine.
    """
    spec = pb.ExtractSpec(
        plate=plate(given),
        faceset=absolute(faceset),
        detector=detector,
        landmarker=landmarker,
        face_type=face_type,
        size=size,
        release=absolute(release),
        pose=pose,
        search_every=search_every,
        smallest=smallest,
        max_faces=max_faces,
        min_score=min_score,
        looks=looks,
        upright_only=upright_only,
        identity=identity,
        pick=Pick(frame=pick[0], x=pick[1], y=pick[2]) if isinstance(pick, tuple) else pick,
        reference=absolute(reference),
        reference_distance=reference_distance,
        device=device,
        workers=workers,
    )
    return pb.JobSpec(extract=spec)


def verify(output: PathLike | Plate, original: PathLike | Plate | None = None) -> pb.JobSpec:
    """An output is checked against its plate; None is the one that its headers name."""
    spec = pb.VerifySpec(output=plate(output), plate=None if original is None else plate(original))
    return pb.JobSpec(verify=spec)


def pull_weights(names: Iterable[str] = ()) -> pb.JobSpec:
    """Weights are fetched; none named means those that the defaults need."""
    return pb.JobSpec(pull_weights=pb.PullWeightsSpec(names=list(names)))


def check_plate(given: PathLike | Plate) -> pb.JobSpec:
    """Every frame of a plate is read wholly."""
    return pb.JobSpec(check_plate=pb.CheckPlateSpec(plate=plate(given)))


def torture(folder: PathLike) -> pb.JobSpec:
    """A set of plates to try a pipeline with is written."""
    return pb.JobSpec(torture=pb.TortureSpec(folder=absolute(folder)))
