from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from understudy.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetFacesetRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class GetFacesetResponse(_message.Message):
    __slots__ = ("faceset",)
    FACESET_FIELD_NUMBER: _ClassVar[int]
    faceset: Faceset
    def __init__(self, faceset: _Optional[_Union[Faceset, _Mapping]] = ...) -> None: ...

class Faceset(_message.Message):
    __slots__ = ("path", "id", "faces", "frames", "tracks", "size", "face_type", "release_id", "broken", "plates", "rejected", "measured", "packed", "looked_at")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FACE_TYPE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    BROKEN_FIELD_NUMBER: _ClassVar[int]
    PLATES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    PACKED_FIELD_NUMBER: _ClassVar[int]
    LOOKED_AT_FIELD_NUMBER: _ClassVar[int]
    path: str
    id: str
    faces: int
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    tracks: _containers.RepeatedCompositeFieldContainer[Track]
    size: int
    face_type: str
    release_id: str
    broken: _containers.RepeatedScalarFieldContainer[str]
    plates: _containers.RepeatedScalarFieldContainer[str]
    rejected: int
    measured: _containers.RepeatedScalarFieldContainer[str]
    packed: bool
    looked_at: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    def __init__(self, path: _Optional[str] = ..., id: _Optional[str] = ..., faces: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., tracks: _Optional[_Iterable[_Union[Track, _Mapping]]] = ..., size: _Optional[int] = ..., face_type: _Optional[str] = ..., release_id: _Optional[str] = ..., broken: _Optional[_Iterable[str]] = ..., plates: _Optional[_Iterable[str]] = ..., rejected: _Optional[int] = ..., measured: _Optional[_Iterable[str]] = ..., packed: bool = ..., looked_at: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ...) -> None: ...

class FaceQuery(_message.Message):
    __slots__ = ("names", "tracks", "frames", "views", "ranges", "invert", "order", "reverse", "limit")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    INVERT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    tracks: _containers.RepeatedScalarFieldContainer[int]
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    views: _containers.RepeatedScalarFieldContainer[str]
    ranges: _containers.RepeatedCompositeFieldContainer[KeyRange]
    invert: bool
    order: str
    reverse: bool
    limit: int
    def __init__(self, names: _Optional[_Iterable[str]] = ..., tracks: _Optional[_Iterable[int]] = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., views: _Optional[_Iterable[str]] = ..., ranges: _Optional[_Iterable[_Union[KeyRange, _Mapping]]] = ..., invert: bool = ..., order: _Optional[str] = ..., reverse: bool = ..., limit: _Optional[int] = ...) -> None: ...

class KeyRange(_message.Message):
    __slots__ = ("key", "minimum", "maximum")
    KEY_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    key: str
    minimum: float
    maximum: float
    def __init__(self, key: _Optional[str] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ...) -> None: ...

class Track(_message.Message):
    __slots__ = ("id", "frames", "faces", "mean_size")
    ID_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    MEAN_SIZE_FIELD_NUMBER: _ClassVar[int]
    id: int
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    faces: int
    mean_size: float
    def __init__(self, id: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., faces: _Optional[int] = ..., mean_size: _Optional[float] = ...) -> None: ...

class ListFacesRequest(_message.Message):
    __slots__ = ("path", "page_size", "page_token", "query")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    path: str
    page_size: int
    page_token: str
    query: FaceQuery
    def __init__(self, path: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., query: _Optional[_Union[FaceQuery, _Mapping]] = ...) -> None: ...

class ListFacesResponse(_message.Message):
    __slots__ = ("faces", "next_page_token")
    FACES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    faces: _containers.RepeatedCompositeFieldContainer[Face]
    next_page_token: str
    def __init__(self, faces: _Optional[_Iterable[_Union[Face, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ShowFacesRequest(_message.Message):
    __slots__ = ("path", "names", "size")
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    path: str
    names: _containers.RepeatedScalarFieldContainer[str]
    size: int
    def __init__(self, path: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., size: _Optional[int] = ...) -> None: ...

class ShowFacesResponse(_message.Message):
    __slots__ = ("name", "picture", "trouble")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    picture: bytes
    trouble: str
    def __init__(self, name: _Optional[str] = ..., picture: _Optional[bytes] = ..., trouble: _Optional[str] = ...) -> None: ...

class ListDuplicatesRequest(_message.Message):
    __slots__ = ("path", "threshold")
    PATH_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    path: str
    threshold: float
    def __init__(self, path: _Optional[str] = ..., threshold: _Optional[float] = ...) -> None: ...

class ListDuplicatesResponse(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[FaceGroup]
    def __init__(self, groups: _Optional[_Iterable[_Union[FaceGroup, _Mapping]]] = ...) -> None: ...

class FaceGroup(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class GetFacesetStatisticsRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class GetFacesetStatisticsResponse(_message.Message):
    __slots__ = ("statistics",)
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    statistics: _containers.RepeatedCompositeFieldContainer[Statistic]
    def __init__(self, statistics: _Optional[_Iterable[_Union[Statistic, _Mapping]]] = ...) -> None: ...

class Statistic(_message.Message):
    __slots__ = ("name", "unit", "count", "mean", "minimum", "percentile_5", "median", "percentile_95", "maximum")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    PERCENTILE_5_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    PERCENTILE_95_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    count: int
    mean: float
    minimum: float
    percentile_5: float
    median: float
    percentile_95: float
    maximum: float
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., count: _Optional[int] = ..., mean: _Optional[float] = ..., minimum: _Optional[float] = ..., percentile_5: _Optional[float] = ..., median: _Optional[float] = ..., percentile_95: _Optional[float] = ..., maximum: _Optional[float] = ...) -> None: ...

class RejectFacesRequest(_message.Message):
    __slots__ = ("path", "query")
    PATH_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    path: str
    query: FaceQuery
    def __init__(self, path: _Optional[str] = ..., query: _Optional[_Union[FaceQuery, _Mapping]] = ...) -> None: ...

class RejectFacesResponse(_message.Message):
    __slots__ = ("moved",)
    MOVED_FIELD_NUMBER: _ClassVar[int]
    moved: int
    def __init__(self, moved: _Optional[int] = ...) -> None: ...

class RestoreFacesRequest(_message.Message):
    __slots__ = ("path", "names")
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    path: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, path: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class RestoreFacesResponse(_message.Message):
    __slots__ = ("moved",)
    MOVED_FIELD_NUMBER: _ClassVar[int]
    moved: int
    def __init__(self, moved: _Optional[int] = ...) -> None: ...

class PickTrackRequest(_message.Message):
    __slots__ = ("path", "pick", "plate")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PICK_FIELD_NUMBER: _ClassVar[int]
    PLATE_FIELD_NUMBER: _ClassVar[int]
    path: str
    pick: _common_pb2.Pick
    plate: str
    def __init__(self, path: _Optional[str] = ..., pick: _Optional[_Union[_common_pb2.Pick, _Mapping]] = ..., plate: _Optional[str] = ...) -> None: ...

class PickTrackResponse(_message.Message):
    __slots__ = ("track",)
    TRACK_FIELD_NUMBER: _ClassVar[int]
    track: int
    def __init__(self, track: _Optional[int] = ...) -> None: ...

class ListReviewFramesRequest(_message.Message):
    __slots__ = ("path", "confidence")
    PATH_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    path: str
    confidence: float
    def __init__(self, path: _Optional[str] = ..., confidence: _Optional[float] = ...) -> None: ...

class ListReviewFramesResponse(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[ReviewFrame]
    def __init__(self, frames: _Optional[_Iterable[_Union[ReviewFrame, _Mapping]]] = ...) -> None: ...

class ReviewFrame(_message.Message):
    __slots__ = ("plate", "view", "frame", "reason", "track", "message")
    PLATE_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    plate: str
    view: str
    frame: int
    reason: str
    track: int
    message: str
    def __init__(self, plate: _Optional[str] = ..., view: _Optional[str] = ..., frame: _Optional[int] = ..., reason: _Optional[str] = ..., track: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class ManualFace(_message.Message):
    __slots__ = ("plate", "view", "track", "frame", "points", "box", "absent", "interpolate")
    PLATE_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    INTERPOLATE_FIELD_NUMBER: _ClassVar[int]
    plate: str
    view: str
    track: int
    frame: int
    points: _containers.RepeatedScalarFieldContainer[float]
    box: _containers.RepeatedScalarFieldContainer[float]
    absent: bool
    interpolate: bool
    def __init__(self, plate: _Optional[str] = ..., view: _Optional[str] = ..., track: _Optional[int] = ..., frame: _Optional[int] = ..., points: _Optional[_Iterable[float]] = ..., box: _Optional[_Iterable[float]] = ..., absent: bool = ..., interpolate: bool = ...) -> None: ...

class SetManualFacesRequest(_message.Message):
    __slots__ = ("path", "faces")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    path: str
    faces: _containers.RepeatedCompositeFieldContainer[ManualFace]
    def __init__(self, path: _Optional[str] = ..., faces: _Optional[_Iterable[_Union[ManualFace, _Mapping]]] = ...) -> None: ...

class SetManualFacesResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class ListManualFacesRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class ListManualFacesResponse(_message.Message):
    __slots__ = ("faces",)
    FACES_FIELD_NUMBER: _ClassVar[int]
    faces: _containers.RepeatedCompositeFieldContainer[ManualFace]
    def __init__(self, faces: _Optional[_Iterable[_Union[ManualFace, _Mapping]]] = ...) -> None: ...

class DeleteManualFacesRequest(_message.Message):
    __slots__ = ("path", "plate", "view", "track", "frames")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PLATE_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    path: str
    plate: str
    view: str
    track: int
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    def __init__(self, path: _Optional[str] = ..., plate: _Optional[str] = ..., view: _Optional[str] = ..., track: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ...) -> None: ...

class DeleteManualFacesResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class Face(_message.Message):
    __slots__ = ("path", "frame", "track", "box", "landmarks", "score", "pose", "alignment", "size", "view", "origin", "cut", "confidence", "key")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    LANDMARKS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    POSE_FIELD_NUMBER: _ClassVar[int]
    ALIGNMENT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    path: str
    frame: int
    track: int
    box: _containers.RepeatedScalarFieldContainer[float]
    landmarks: _containers.RepeatedScalarFieldContainer[float]
    score: float
    pose: _common_pb2.Pose
    alignment: _containers.RepeatedScalarFieldContainer[float]
    size: int
    view: str
    origin: str
    cut: bool
    confidence: _containers.RepeatedScalarFieldContainer[float]
    key: float
    def __init__(self, path: _Optional[str] = ..., frame: _Optional[int] = ..., track: _Optional[int] = ..., box: _Optional[_Iterable[float]] = ..., landmarks: _Optional[_Iterable[float]] = ..., score: _Optional[float] = ..., pose: _Optional[_Union[_common_pb2.Pose, _Mapping]] = ..., alignment: _Optional[_Iterable[float]] = ..., size: _Optional[int] = ..., view: _Optional[str] = ..., origin: _Optional[str] = ..., cut: bool = ..., confidence: _Optional[_Iterable[float]] = ..., key: _Optional[float] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("path", "id", "architecture", "preset", "resolution", "face_type", "parameters", "iteration", "time_spent", "losses", "release_ids", "options", "e_dims", "d_dims", "d_mask_dims", "ae_dims", "part_parameters", "releases", "way", "pretrained", "changes", "average", "combined", "src_id", "dst_id", "working_space", "versions", "backups")
    class LossesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class PartParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class CombinedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PATH_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    FACE_TYPE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    TIME_SPENT_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    RELEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    E_DIMS_FIELD_NUMBER: _ClassVar[int]
    D_DIMS_FIELD_NUMBER: _ClassVar[int]
    D_MASK_DIMS_FIELD_NUMBER: _ClassVar[int]
    AE_DIMS_FIELD_NUMBER: _ClassVar[int]
    PART_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    WAY_FIELD_NUMBER: _ClassVar[int]
    PRETRAINED_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_FIELD_NUMBER: _ClassVar[int]
    COMBINED_FIELD_NUMBER: _ClassVar[int]
    SRC_ID_FIELD_NUMBER: _ClassVar[int]
    DST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKING_SPACE_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    BACKUPS_FIELD_NUMBER: _ClassVar[int]
    path: str
    id: str
    architecture: str
    preset: str
    resolution: int
    face_type: str
    parameters: int
    iteration: int
    time_spent: _duration_pb2.Duration
    losses: _containers.ScalarMap[str, float]
    release_ids: _containers.RepeatedScalarFieldContainer[str]
    options: str
    e_dims: int
    d_dims: int
    d_mask_dims: int
    ae_dims: int
    part_parameters: _containers.ScalarMap[str, int]
    releases: _containers.RepeatedCompositeFieldContainer[ModelRelease]
    way: str
    pretrained: str
    changes: _containers.RepeatedCompositeFieldContainer[ModelChange]
    average: bool
    combined: _containers.ScalarMap[str, str]
    src_id: str
    dst_id: str
    working_space: str
    versions: _containers.ScalarMap[str, str]
    backups: int
    def __init__(self, path: _Optional[str] = ..., id: _Optional[str] = ..., architecture: _Optional[str] = ..., preset: _Optional[str] = ..., resolution: _Optional[int] = ..., face_type: _Optional[str] = ..., parameters: _Optional[int] = ..., iteration: _Optional[int] = ..., time_spent: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., losses: _Optional[_Mapping[str, float]] = ..., release_ids: _Optional[_Iterable[str]] = ..., options: _Optional[str] = ..., e_dims: _Optional[int] = ..., d_dims: _Optional[int] = ..., d_mask_dims: _Optional[int] = ..., ae_dims: _Optional[int] = ..., part_parameters: _Optional[_Mapping[str, int]] = ..., releases: _Optional[_Iterable[_Union[ModelRelease, _Mapping]]] = ..., way: _Optional[str] = ..., pretrained: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[ModelChange, _Mapping]]] = ..., average: bool = ..., combined: _Optional[_Mapping[str, str]] = ..., src_id: _Optional[str] = ..., dst_id: _Optional[str] = ..., working_space: _Optional[str] = ..., versions: _Optional[_Mapping[str, str]] = ..., backups: _Optional[int] = ...) -> None: ...

class ModelRelease(_message.Message):
    __slots__ = ("release", "valid", "message")
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    release: Release
    valid: bool
    message: str
    def __init__(self, release: _Optional[_Union[Release, _Mapping]] = ..., valid: bool = ..., message: _Optional[str] = ...) -> None: ...

class ModelChange(_message.Message):
    __slots__ = ("iteration", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    options: _containers.ScalarMap[str, str]
    def __init__(self, iteration: _Optional[int] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListModelBackupsRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class ListModelBackupsResponse(_message.Message):
    __slots__ = ("backups",)
    BACKUPS_FIELD_NUMBER: _ClassVar[int]
    backups: _containers.RepeatedCompositeFieldContainer[ModelBackup]
    def __init__(self, backups: _Optional[_Iterable[_Union[ModelBackup, _Mapping]]] = ...) -> None: ...

class ModelBackup(_message.Message):
    __slots__ = ("name", "id", "iteration", "time_spent", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    TIME_SPENT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: str
    iteration: int
    time_spent: _duration_pb2.Duration
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ..., iteration: _Optional[int] = ..., time_spent: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("id", "subject", "kind", "granted_by", "granted_time", "valid_from", "valid_until", "scope", "document_sha256")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    GRANTED_BY_FIELD_NUMBER: _ClassVar[int]
    GRANTED_TIME_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_SHA256_FIELD_NUMBER: _ClassVar[int]
    id: str
    subject: str
    kind: str
    granted_by: str
    granted_time: _timestamp_pb2.Timestamp
    valid_from: _timestamp_pb2.Timestamp
    valid_until: _timestamp_pb2.Timestamp
    scope: str
    document_sha256: str
    def __init__(self, id: _Optional[str] = ..., subject: _Optional[str] = ..., kind: _Optional[str] = ..., granted_by: _Optional[str] = ..., granted_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., valid_from: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., valid_until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., scope: _Optional[str] = ..., document_sha256: _Optional[str] = ...) -> None: ...

class CreateReleaseRequest(_message.Message):
    __slots__ = ("release", "path")
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    release: Release
    path: str
    def __init__(self, release: _Optional[_Union[Release, _Mapping]] = ..., path: _Optional[str] = ...) -> None: ...

class CreateReleaseResponse(_message.Message):
    __slots__ = ("release",)
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    release: Release
    def __init__(self, release: _Optional[_Union[Release, _Mapping]] = ...) -> None: ...

class GetReleaseRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class GetReleaseResponse(_message.Message):
    __slots__ = ("release", "valid", "message")
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    release: Release
    valid: bool
    message: str
    def __init__(self, release: _Optional[_Union[Release, _Mapping]] = ..., valid: bool = ..., message: _Optional[str] = ...) -> None: ...
