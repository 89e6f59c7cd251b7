from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrainEnhancerSpec(_message.Message):
    __slots__ = ("enhancer", "facesets", "preset", "resolution", "target_iterations", "target_time", "batch_size", "seed", "device")
    ENHANCER_FIELD_NUMBER: _ClassVar[int]
    FACESETS_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    TARGET_TIME_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    enhancer: str
    facesets: _containers.RepeatedScalarFieldContainer[str]
    preset: str
    resolution: int
    target_iterations: int
    target_time: _duration_pb2.Duration
    batch_size: int
    seed: int
    device: str
    def __init__(self, enhancer: _Optional[str] = ..., facesets: _Optional[_Iterable[str]] = ..., preset: _Optional[str] = ..., resolution: _Optional[int] = ..., target_iterations: _Optional[int] = ..., target_time: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., batch_size: _Optional[int] = ..., seed: _Optional[int] = ..., device: _Optional[str] = ...) -> None: ...
