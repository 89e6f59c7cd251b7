from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ExportModelSpec(_message.Message):
    __slots__ = ("model", "output", "format", "opset", "half", "gain", "swap_back", "release", "folders")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    OPSET_FIELD_NUMBER: _ClassVar[int]
    HALF_FIELD_NUMBER: _ClassVar[int]
    GAIN_FIELD_NUMBER: _ClassVar[int]
    SWAP_BACK_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    model: str
    output: str
    format: str
    opset: int
    half: bool
    gain: float
    swap_back: bool
    release: str
    folders: bool
    def __init__(self, model: _Optional[str] = ..., output: _Optional[str] = ..., format: _Optional[str] = ..., opset: _Optional[int] = ..., half: bool = ..., gain: _Optional[float] = ..., swap_back: bool = ..., release: _Optional[str] = ..., folders: bool = ...) -> None: ...

class ImportModelSpec(_message.Message):
    __slots__ = ("source", "name", "output", "releases")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    source: str
    name: str
    output: str
    releases: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[str] = ..., name: _Optional[str] = ..., output: _Optional[str] = ..., releases: _Optional[_Iterable[str]] = ...) -> None: ...

class CombineModelsSpec(_message.Message):
    __slots__ = ("output", "base", "parts")
    class PartsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    output: str
    base: str
    parts: _containers.ScalarMap[str, str]
    def __init__(self, output: _Optional[str] = ..., base: _Optional[str] = ..., parts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RestoreModelSpec(_message.Message):
    __slots__ = ("model", "backup")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    model: str
    backup: str
    def __init__(self, model: _Optional[str] = ..., backup: _Optional[str] = ...) -> None: ...

class PlotHistorySpec(_message.Message):
    __slots__ = ("model", "output")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    model: str
    output: str
    def __init__(self, model: _Optional[str] = ..., output: _Optional[str] = ...) -> None: ...
