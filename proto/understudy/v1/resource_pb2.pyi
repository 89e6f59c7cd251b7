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
    __slots__ = ("path", "id", "faces", "frames", "tracks", "size", "face_type", "release_id", "broken", "plates")
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
    def __init__(self, path: _Optional[str] = ..., id: _Optional[str] = ..., faces: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., tracks: _Optional[_Iterable[_Union[Track, _Mapping]]] = ..., size: _Optional[int] = ..., face_type: _Optional[str] = ..., release_id: _Optional[str] = ..., broken: _Optional[_Iterable[str]] = ..., plates: _Optional[_Iterable[str]] = ...) -> None: ...

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
    __slots__ = ("path", "page_size", "page_token")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    path: str
    page_size: int
    page_token: str
    def __init__(self, path: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListFacesResponse(_message.Message):
    __slots__ = ("faces", "next_page_token")
    FACES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    faces: _containers.RepeatedCompositeFieldContainer[Face]
    next_page_token: str
    def __init__(self, faces: _Optional[_Iterable[_Union[Face, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Face(_message.Message):
    __slots__ = ("path", "frame", "track", "box", "landmarks", "score", "pose", "alignment", "size", "view")
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
    def __init__(self, path: _Optional[str] = ..., frame: _Optional[int] = ..., track: _Optional[int] = ..., box: _Optional[_Iterable[float]] = ..., landmarks: _Optional[_Iterable[float]] = ..., score: _Optional[float] = ..., pose: _Optional[_Union[_common_pb2.Pose, _Mapping]] = ..., alignment: _Optional[_Iterable[float]] = ..., size: _Optional[int] = ..., view: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("path", "id", "architecture", "preset", "resolution", "face_type", "parameters", "iteration", "time_spent", "losses", "release_ids")
    class LossesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
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
    def __init__(self, path: _Optional[str] = ..., id: _Optional[str] = ..., architecture: _Optional[str] = ..., preset: _Optional[str] = ..., resolution: _Optional[int] = ..., face_type: _Optional[str] = ..., parameters: _Optional[int] = ..., iteration: _Optional[int] = ..., time_spent: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., losses: _Optional[_Mapping[str, float]] = ..., release_ids: _Optional[_Iterable[str]] = ...) -> None: ...

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
