"""The specs of faceset tools, queries of faces, and what a person says of a face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from understudy.client.errors import Refused
from understudy.client.specs.parts import Frames, PathLike, absolute, segments
from understudy.v1 import job_pb2 as pb
from understudy.v1.resource_pb2 import FaceQuery, KeyRange, ManualFace


def query(
    *,
    names: Iterable[str] = (),
    tracks: Iterable[int] = (),
    frames: Frames = None,
    views: Iterable[str] = (),
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
    invert: bool = False,
    order: str = "",
    reverse: bool = False,
    limit: int = 0,
) -> FaceQuery:
    """Which faces, in which order; all conditions hold at once, and none given is all faces.

    Args:
        names: of image files.
        tracks: ids of people.
        frames: as text (`1001-1010x2`) or segments.
        ranges: sort key → least and greatest value, either None: `{"yaw": (-30, 30), "blur": (0.2, None)}`.
        invert: the faces that do not fit.
        order: sort key; `session.info()` lists them. Empty: by frame and track.
        reverse: the other way round than is usual for the key.
        limit: only the first so many.

    Raises:
        Refused: a frame range that cannot be read, or limits that are not two numbers.
    """
    return FaceQuery(
        names=names,
        tracks=tracks,
        frames=segments(frames),
        views=views,
        ranges=[_range(key, limits) for key, limits in (ranges or {}).items()],
        invert=invert,
        order=order,
        reverse=reverse,
        limit=limit,
    )


def _range(key: str, limits: tuple[float | None, float | None]) -> KeyRange:
    try:
        minimum, maximum = limits
        return KeyRange(key=key, minimum=minimum, maximum=maximum)
    except (TypeError, ValueError) as error:
        raise Refused.invalid(f"ranges.{key}", limits, f"{limits!r} is not (minimum, maximum)") from error


def manual_face(
    frame: int,
    track: int = 0,
    *,
    points: Iterable[Sequence[float]] = (),
    box: Sequence[float] = (),
    absent: bool = False,
    interpolate: bool = False,
    plate: PathLike = "",
    view: str = "",
) -> ManualFace:
    """What a person says of a face on a frame: just one of points, a box and `absent`.

    Args:
        points: (x, y) in plate pixels of all 68 landmarks in iBUG order, or of 5: the person's right and left eye, the
            nose tip, the right and left corner of the mouth.
        box: x0, y0, x1, y1 in plate pixels: the landmarker looks in it.
        absent: there is no such face on this frame.
        interpolate: frames up to the next key of this track and kind are interpolated.
        plate: its pattern; may be left out where the faceset has one plate.

    Raises:
        Refused: a point that is not two numbers.
    """
    flat: list[float] = []
    for point in points:
        try:
            x, y = map(float, point)
        except (TypeError, ValueError) as error:
            raise Refused.invalid("points", point, f"{point!r} is not x and y") from error
        flat += [x, y]
    return ManualFace(
        plate=absolute(plate),
        view=view,
        track=track,
        frame=frame,
        points=flat,
        box=box,
        absent=absent,
        interpolate=interpolate,
    )


def measure_faceset(
    faceset: PathLike, *, keys: Iterable[str] = (), reference: PathLike = "", identity: str = ""
) -> pb.JobSpec:
    """What sorting needs is measured of every face; no keys means all that need no further weights.

    `reference` is the picture of a face to measure distances to, and `identity` what says how unlike two faces are.
    """
    spec = pb.MeasureFacesetSpec(
        faceset=absolute(faceset), keys=keys, reference=absolute(reference), identity=identity
    )
    return pb.JobSpec(measure_faceset=spec)


def faceset_sheet(
    faceset: PathLike, output: PathLike, *, query: FaceQuery | None = None, count: int = 0, cell: int = 0
) -> pb.JobSpec:
    """Faces side by side in a PNG: at most `count` (0: 200), evenly spread, `cell` pixels each (0: 128)."""
    spec = pb.FacesetSheetSpec(
        faceset=absolute(faceset), output=absolute(output), query=query, count=count, cell=cell
    )
    return pb.JobSpec(faceset_sheet=spec)


def faceset_coverage(faceset: PathLike, output: PathLike, *, against: PathLike = "") -> pb.JobSpec:
    """Where in yaw and pitch the faces are, as a PNG; `against` is the faceset of the performance to cover."""
    spec = pb.FacesetCoverageSpec(
        faceset=absolute(faceset), output=absolute(output), against=absolute(against)
    )
    return pb.JobSpec(faceset_coverage=spec)


def pack_faceset(faceset: PathLike, output: PathLike) -> pb.JobSpec:
    """A faceset becomes one file, `output` ending in `.faceset`, that training maps into memory."""
    return pb.JobSpec(pack_faceset=pb.PackFacesetSpec(faceset=absolute(faceset), output=absolute(output)))


def unpack_faceset(pack: PathLike, output: PathLike) -> pb.JobSpec:
    """A packed faceset becomes a folder again."""
    return pb.JobSpec(unpack_faceset=pb.UnpackFacesetSpec(pack=absolute(pack), output=absolute(output)))


def resize_faceset(
    faceset: PathLike,
    output: PathLike,
    *,
    size: int = 0,
    face_type: str = "",
    enhance: str = "",
    enhancer: PathLike = "",
) -> pb.JobSpec:
    """Another faceset, of another crop size or face type; what is not given stays as it is.

    Args:
        enhance: how detail is made where faces grow. Empty: `lanczos`.
        enhancer: folder of one, where that is `trained`.
    """
    spec = pb.ResizeFacesetSpec(
        faceset=absolute(faceset),
        output=absolute(output),
        size=size,
        face_type=face_type,
        enhance=enhance,
        enhancer=absolute(enhancer),
    )
    return pb.JobSpec(resize_faceset=spec)


def import_faceset(source: PathLike, output: PathLike, *, release: PathLike = "") -> pb.JobSpec:
    """A faceset of DeepFaceLab, a folder of JPEGs or a `faceset.pak`, becomes one of ours."""
    spec = pb.ImportFacesetSpec(source=absolute(source), output=absolute(output), release=absolute(release))
    return pb.JobSpec(import_faceset=spec)


def export_faceset(faceset: PathLike, output: PathLike, *, quality: int = 0) -> pb.JobSpec:
    """A faceset becomes one of DeepFaceLab: JPEGs of `quality` 1 to 100 (0: 95) with its metadata."""
    spec = pb.ExportFacesetSpec(faceset=absolute(faceset), output=absolute(output), quality=quality)
    return pb.JobSpec(export_faceset=spec)


def join_facesets(facesets: Iterable[PathLike], output: PathLike) -> pb.JobSpec:
    """Several facesets of one person become one."""
    spec = pb.JoinFacesetsSpec(facesets=[absolute(each) for each in facesets], output=absolute(output))
    return pb.JobSpec(join_facesets=spec)
