from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_INPUT: _ClassVar[ErrorReason]
    ERROR_REASON_PATH_NOT_ALLOWED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_FRAME_MISSING: _ClassVar[ErrorReason]
    ERROR_REASON_FRAME_UNREADABLE: _ClassVar[ErrorReason]
    ERROR_REASON_NO_FACE: _ClassVar[ErrorReason]
    ERROR_REASON_TRACK_AMBIGUOUS: _ClassVar[ErrorReason]
    ERROR_REASON_WRITE_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_DISK_FULL: _ClassVar[ErrorReason]
    ERROR_REASON_WEIGHTS_MISSING: _ClassVar[ErrorReason]
    ERROR_REASON_WEIGHTS_CORRUPT: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_RELEASE_MISSING: _ClassVar[ErrorReason]
    ERROR_REASON_RELEASE_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_OUTPUT_LOCKED: _ClassVar[ErrorReason]
    ERROR_REASON_JOB_STATE: _ClassVar[ErrorReason]
    ERROR_REASON_DEPENDENCY_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_WORKER_DIED: _ClassVar[ErrorReason]
    ERROR_REASON_OUT_OF_MEMORY: _ClassVar[ErrorReason]
    ERROR_REASON_FRAMES_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_ID_REUSED: _ClassVar[ErrorReason]
    ERROR_REASON_VERIFY_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_MEASURED: _ClassVar[ErrorReason]
    ERROR_REASON_UNAUTHENTICATED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_PERMITTED: _ClassVar[ErrorReason]
    ERROR_REASON_LIMIT_REACHED: _ClassVar[ErrorReason]
    ERROR_REASON_LICENCE_NOT_ACCEPTED: _ClassVar[ErrorReason]
    ERROR_REASON_PREEMPTED: _ClassVar[ErrorReason]
    ERROR_REASON_SUPERSEDED: _ClassVar[ErrorReason]
    ERROR_REASON_LATE: _ClassVar[ErrorReason]

class Interpolation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTERPOLATION_UNSPECIFIED: _ClassVar[Interpolation]
    INTERPOLATION_LINEAR: _ClassVar[Interpolation]
    INTERPOLATION_HOLD: _ClassVar[Interpolation]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_INVALID_INPUT: ErrorReason
ERROR_REASON_PATH_NOT_ALLOWED: ErrorReason
ERROR_REASON_NOT_FOUND: ErrorReason
ERROR_REASON_FRAME_MISSING: ErrorReason
ERROR_REASON_FRAME_UNREADABLE: ErrorReason
ERROR_REASON_NO_FACE: ErrorReason
ERROR_REASON_TRACK_AMBIGUOUS: ErrorReason
ERROR_REASON_WRITE_FAILED: ErrorReason
ERROR_REASON_DISK_FULL: ErrorReason
ERROR_REASON_WEIGHTS_MISSING: ErrorReason
ERROR_REASON_WEIGHTS_CORRUPT: ErrorReason
ERROR_REASON_MODEL_INVALID: ErrorReason
ERROR_REASON_RELEASE_MISSING: ErrorReason
ERROR_REASON_RELEASE_INVALID: ErrorReason
ERROR_REASON_OUTPUT_LOCKED: ErrorReason
ERROR_REASON_JOB_STATE: ErrorReason
ERROR_REASON_DEPENDENCY_FAILED: ErrorReason
ERROR_REASON_WORKER_DIED: ErrorReason
ERROR_REASON_OUT_OF_MEMORY: ErrorReason
ERROR_REASON_FRAMES_FAILED: ErrorReason
ERROR_REASON_REQUEST_ID_REUSED: ErrorReason
ERROR_REASON_VERIFY_FAILED: ErrorReason
ERROR_REASON_NOT_MEASURED: ErrorReason
ERROR_REASON_UNAUTHENTICATED: ErrorReason
ERROR_REASON_NOT_PERMITTED: ErrorReason
ERROR_REASON_LIMIT_REACHED: ErrorReason
ERROR_REASON_LICENCE_NOT_ACCEPTED: ErrorReason
ERROR_REASON_PREEMPTED: ErrorReason
ERROR_REASON_SUPERSEDED: ErrorReason
ERROR_REASON_LATE: ErrorReason
INTERPOLATION_UNSPECIFIED: Interpolation
INTERPOLATION_LINEAR: Interpolation
INTERPOLATION_HOLD: Interpolation

class FrameSegment(_message.Message):
    __slots__ = ("first", "last", "step")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    step: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ..., step: _Optional[int] = ...) -> None: ...

class PlateRef(_message.Message):
    __slots__ = ("pattern", "frames", "colour_space", "views")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    COLOUR_SPACE_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    pattern: str
    frames: _containers.RepeatedCompositeFieldContainer[FrameSegment]
    colour_space: str
    views: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pattern: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[FrameSegment, _Mapping]]] = ..., colour_space: _Optional[str] = ..., views: _Optional[_Iterable[str]] = ...) -> None: ...

class Keyable(_message.Message):
    __slots__ = ("value", "keys")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    value: float
    keys: Keys
    def __init__(self, value: _Optional[float] = ..., keys: _Optional[_Union[Keys, _Mapping]] = ...) -> None: ...

class Keys(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[Key]
    def __init__(self, keys: _Optional[_Iterable[_Union[Key, _Mapping]]] = ...) -> None: ...

class Key(_message.Message):
    __slots__ = ("frame", "value", "interpolation")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    INTERPOLATION_FIELD_NUMBER: _ClassVar[int]
    frame: int
    value: float
    interpolation: Interpolation
    def __init__(self, frame: _Optional[int] = ..., value: _Optional[float] = ..., interpolation: _Optional[_Union[Interpolation, str]] = ...) -> None: ...

class Pose(_message.Message):
    __slots__ = ("pitch", "yaw", "roll")
    PITCH_FIELD_NUMBER: _ClassVar[int]
    YAW_FIELD_NUMBER: _ClassVar[int]
    ROLL_FIELD_NUMBER: _ClassVar[int]
    pitch: float
    yaw: float
    roll: float
    def __init__(self, pitch: _Optional[float] = ..., yaw: _Optional[float] = ..., roll: _Optional[float] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "help", "type", "default_value", "minimum", "maximum", "choices", "keyable")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HELP_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    KEYABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    help: str
    type: str
    default_value: str
    minimum: float
    maximum: float
    choices: _containers.RepeatedScalarFieldContainer[str]
    keyable: bool
    def __init__(self, name: _Optional[str] = ..., help: _Optional[str] = ..., type: _Optional[str] = ..., default_value: _Optional[str] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., choices: _Optional[_Iterable[str]] = ..., keyable: bool = ...) -> None: ...

class Pick(_message.Message):
    __slots__ = ("frame", "x", "y", "view")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    frame: int
    x: float
    y: float
    view: str
    def __init__(self, frame: _Optional[int] = ..., x: _Optional[float] = ..., y: _Optional[float] = ..., view: _Optional[str] = ...) -> None: ...
