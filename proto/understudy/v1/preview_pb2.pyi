from understudy.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PreviewFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PREVIEW_FORMAT_UNSPECIFIED: _ClassVar[PreviewFormat]
    PREVIEW_FORMAT_PNG: _ClassVar[PreviewFormat]
    PREVIEW_FORMAT_EXR: _ClassVar[PreviewFormat]
PREVIEW_FORMAT_UNSPECIFIED: PreviewFormat
PREVIEW_FORMAT_PNG: PreviewFormat
PREVIEW_FORMAT_EXR: PreviewFormat

class PreviewFrameRequest(_message.Message):
    __slots__ = ("merge", "frame", "format", "size", "asker")
    MERGE_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ASKER_FIELD_NUMBER: _ClassVar[int]
    merge: _job_pb2.MergeSpec
    frame: int
    format: PreviewFormat
    size: int
    asker: str
    def __init__(self, merge: _Optional[_Union[_job_pb2.MergeSpec, _Mapping]] = ..., frame: _Optional[int] = ..., format: _Optional[_Union[PreviewFormat, str]] = ..., size: _Optional[int] = ..., asker: _Optional[str] = ...) -> None: ...

class PreviewTrainingRequest(_message.Message):
    __slots__ = ("model", "asker")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ASKER_FIELD_NUMBER: _ClassVar[int]
    model: str
    asker: str
    def __init__(self, model: _Optional[str] = ..., asker: _Optional[str] = ...) -> None: ...

class Preview(_message.Message):
    __slots__ = ("iteration", "live", "size_bytes", "warnings", "faces")
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    live: bool
    size_bytes: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    faces: int
    def __init__(self, iteration: _Optional[int] = ..., live: bool = ..., size_bytes: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., faces: _Optional[int] = ...) -> None: ...

class PreviewFrameResponse(_message.Message):
    __slots__ = ("preview", "data")
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    preview: Preview
    data: bytes
    def __init__(self, preview: _Optional[_Union[Preview, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class PreviewTrainingResponse(_message.Message):
    __slots__ = ("preview", "data")
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    preview: Preview
    data: bytes
    def __init__(self, preview: _Optional[_Union[Preview, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...
