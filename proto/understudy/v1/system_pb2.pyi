from google.protobuf import timestamp_pb2 as _timestamp_pb2
from understudy.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WeightsState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WEIGHTS_STATE_UNSPECIFIED: _ClassVar[WeightsState]
    WEIGHTS_STATE_PRESENT: _ClassVar[WeightsState]
    WEIGHTS_STATE_MISSING: _ClassVar[WeightsState]
    WEIGHTS_STATE_CORRUPT: _ClassVar[WeightsState]
WEIGHTS_STATE_UNSPECIFIED: WeightsState
WEIGHTS_STATE_PRESENT: WeightsState
WEIGHTS_STATE_MISSING: WeightsState
WEIGHTS_STATE_CORRUPT: WeightsState

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("version", "api_versions", "devices", "read_roots", "write_roots", "colour", "families", "recipe", "state_folder", "process_id", "start_time", "embedded", "training", "min_client", "path_mapping", "limits", "caller", "scopes", "workers")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    READ_ROOTS_FIELD_NUMBER: _ClassVar[int]
    WRITE_ROOTS_FIELD_NUMBER: _ClassVar[int]
    COLOUR_FIELD_NUMBER: _ClassVar[int]
    FAMILIES_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FOLDER_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    MIN_CLIENT_FIELD_NUMBER: _ClassVar[int]
    PATH_MAPPING_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    version: str
    api_versions: _containers.RepeatedScalarFieldContainer[str]
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    read_roots: _containers.RepeatedScalarFieldContainer[str]
    write_roots: _containers.RepeatedScalarFieldContainer[str]
    colour: ColourInfo
    families: _containers.RepeatedCompositeFieldContainer[Family]
    recipe: _containers.RepeatedCompositeFieldContainer[_common_pb2.Parameter]
    state_folder: str
    process_id: int
    start_time: _timestamp_pb2.Timestamp
    embedded: bool
    training: _containers.RepeatedCompositeFieldContainer[_common_pb2.Parameter]
    min_client: str
    path_mapping: _containers.RepeatedCompositeFieldContainer[PathMappingRule]
    limits: Limits
    caller: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    workers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[str] = ..., api_versions: _Optional[_Iterable[str]] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., read_roots: _Optional[_Iterable[str]] = ..., write_roots: _Optional[_Iterable[str]] = ..., colour: _Optional[_Union[ColourInfo, _Mapping]] = ..., families: _Optional[_Iterable[_Union[Family, _Mapping]]] = ..., recipe: _Optional[_Iterable[_Union[_common_pb2.Parameter, _Mapping]]] = ..., state_folder: _Optional[str] = ..., process_id: _Optional[int] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., embedded: bool = ..., training: _Optional[_Iterable[_Union[_common_pb2.Parameter, _Mapping]]] = ..., min_client: _Optional[str] = ..., path_mapping: _Optional[_Iterable[_Union[PathMappingRule, _Mapping]]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., caller: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., workers: _Optional[_Iterable[str]] = ...) -> None: ...

class PathMappingRule(_message.Message):
    __slots__ = ("source_path_format", "source_path", "destination_path")
    SOURCE_PATH_FORMAT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PATH_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_PATH_FIELD_NUMBER: _ClassVar[int]
    source_path_format: str
    source_path: str
    destination_path: str
    def __init__(self, source_path_format: _Optional[str] = ..., source_path: _Optional[str] = ..., destination_path: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("message_bytes", "frames_per_job", "jobs_per_user", "jobs", "pixels", "channels")
    MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_PER_JOB_FIELD_NUMBER: _ClassVar[int]
    JOBS_PER_USER_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    message_bytes: int
    frames_per_job: int
    jobs_per_user: int
    jobs: int
    pixels: int
    channels: int
    def __init__(self, message_bytes: _Optional[int] = ..., frames_per_job: _Optional[int] = ..., jobs_per_user: _Optional[int] = ..., jobs: _Optional[int] = ..., pixels: _Optional[int] = ..., channels: _Optional[int] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("name", "description", "memory_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    memory_bytes: int
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class ColourInfo(_message.Message):
    __slots__ = ("config", "cache_id", "working_space", "colour_spaces")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CACHE_ID_FIELD_NUMBER: _ClassVar[int]
    WORKING_SPACE_FIELD_NUMBER: _ClassVar[int]
    COLOUR_SPACES_FIELD_NUMBER: _ClassVar[int]
    config: str
    cache_id: str
    working_space: str
    colour_spaces: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, config: _Optional[str] = ..., cache_id: _Optional[str] = ..., working_space: _Optional[str] = ..., colour_spaces: _Optional[_Iterable[str]] = ...) -> None: ...

class Family(_message.Message):
    __slots__ = ("name", "default_choice", "choices")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_CHOICE_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    default_choice: str
    choices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., default_choice: _Optional[str] = ..., choices: _Optional[_Iterable[str]] = ...) -> None: ...

class Weights(_message.Message):
    __slots__ = ("name", "kind", "licence", "source", "size_bytes", "sha256", "state", "path", "by_default")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    BY_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    licence: str
    source: str
    size_bytes: int
    sha256: str
    state: WeightsState
    path: str
    by_default: bool
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., licence: _Optional[str] = ..., source: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., state: _Optional[_Union[WeightsState, str]] = ..., path: _Optional[str] = ..., by_default: bool = ...) -> None: ...

class ListWeightsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListWeightsResponse(_message.Message):
    __slots__ = ("weights",)
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: _containers.RepeatedCompositeFieldContainer[Weights]
    def __init__(self, weights: _Optional[_Iterable[_Union[Weights, _Mapping]]] = ...) -> None: ...

class VerifyWeightsRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyWeightsResponse(_message.Message):
    __slots__ = ("weights",)
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: _containers.RepeatedCompositeFieldContainer[Weights]
    def __init__(self, weights: _Optional[_Iterable[_Union[Weights, _Mapping]]] = ...) -> None: ...
