from understudy.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetPlateRequest(_message.Message):
    __slots__ = ("plate",)
    PLATE_FIELD_NUMBER: _ClassVar[int]
    plate: _common_pb2.PlateRef
    def __init__(self, plate: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ...) -> None: ...

class GetPlateResponse(_message.Message):
    __slots__ = ("plate",)
    PLATE_FIELD_NUMBER: _ClassVar[int]
    plate: Plate
    def __init__(self, plate: _Optional[_Union[Plate, _Mapping]] = ...) -> None: ...

class Plate(_message.Message):
    __slots__ = ("pattern", "format", "frames", "missing", "first", "last", "count", "size_bytes", "views", "parts", "dpx", "colour", "timecode", "rate", "slate", "differences", "unreadable")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    DPX_FIELD_NUMBER: _ClassVar[int]
    COLOUR_FIELD_NUMBER: _ClassVar[int]
    TIMECODE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    SLATE_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    pattern: str
    format: str
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    missing: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    first: int
    last: int
    count: int
    size_bytes: int
    views: _containers.RepeatedScalarFieldContainer[str]
    parts: _containers.RepeatedCompositeFieldContainer[PlatePart]
    dpx: DpxCoding
    colour: PlateColour
    timecode: PlateTimecode
    rate: Rational
    slate: PlateSlate
    differences: _containers.RepeatedCompositeFieldContainer[PlateDifference]
    unreadable: _containers.RepeatedCompositeFieldContainer[UnreadableFrame]
    def __init__(self, pattern: _Optional[str] = ..., format: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., missing: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., first: _Optional[int] = ..., last: _Optional[int] = ..., count: _Optional[int] = ..., size_bytes: _Optional[int] = ..., views: _Optional[_Iterable[str]] = ..., parts: _Optional[_Iterable[_Union[PlatePart, _Mapping]]] = ..., dpx: _Optional[_Union[DpxCoding, _Mapping]] = ..., colour: _Optional[_Union[PlateColour, _Mapping]] = ..., timecode: _Optional[_Union[PlateTimecode, _Mapping]] = ..., rate: _Optional[_Union[Rational, _Mapping]] = ..., slate: _Optional[_Union[PlateSlate, _Mapping]] = ..., differences: _Optional[_Iterable[_Union[PlateDifference, _Mapping]]] = ..., unreadable: _Optional[_Iterable[_Union[UnreadableFrame, _Mapping]]] = ...) -> None: ...

class PlatePart(_message.Message):
    __slots__ = ("name", "view", "display", "data", "pixel_aspect", "layers", "compression", "lossy", "tiles", "line_order")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PIXEL_ASPECT_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    LOSSY_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    LINE_ORDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    view: str
    display: PlateWindow
    data: PlateWindow
    pixel_aspect: float
    layers: _containers.RepeatedCompositeFieldContainer[PlateLayer]
    compression: str
    lossy: bool
    tiles: TileSize
    line_order: str
    def __init__(self, name: _Optional[str] = ..., view: _Optional[str] = ..., display: _Optional[_Union[PlateWindow, _Mapping]] = ..., data: _Optional[_Union[PlateWindow, _Mapping]] = ..., pixel_aspect: _Optional[float] = ..., layers: _Optional[_Iterable[_Union[PlateLayer, _Mapping]]] = ..., compression: _Optional[str] = ..., lossy: bool = ..., tiles: _Optional[_Union[TileSize, _Mapping]] = ..., line_order: _Optional[str] = ...) -> None: ...

class PlateWindow(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: int
    y: int
    width: int
    height: int
    def __init__(self, x: _Optional[int] = ..., y: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class TileSize(_message.Message):
    __slots__ = ("width", "height")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class PlateLayer(_message.Message):
    __slots__ = ("name", "channels")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    channels: _containers.RepeatedCompositeFieldContainer[PlateChannel]
    def __init__(self, name: _Optional[str] = ..., channels: _Optional[_Iterable[_Union[PlateChannel, _Mapping]]] = ...) -> None: ...

class PlateChannel(_message.Message):
    __slots__ = ("name", "type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class DpxCoding(_message.Message):
    __slots__ = ("bits", "packing", "endian", "transfer")
    BITS_FIELD_NUMBER: _ClassVar[int]
    PACKING_FIELD_NUMBER: _ClassVar[int]
    ENDIAN_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    bits: int
    packing: str
    endian: str
    transfer: str
    def __init__(self, bits: _Optional[int] = ..., packing: _Optional[str] = ..., endian: _Optional[str] = ..., transfer: _Optional[str] = ...) -> None: ...

class PlateColour(_message.Message):
    __slots__ = ("guess", "interop_id", "chromaticities")
    GUESS_FIELD_NUMBER: _ClassVar[int]
    INTEROP_ID_FIELD_NUMBER: _ClassVar[int]
    CHROMATICITIES_FIELD_NUMBER: _ClassVar[int]
    guess: str
    interop_id: str
    chromaticities: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, guess: _Optional[str] = ..., interop_id: _Optional[str] = ..., chromaticities: _Optional[_Iterable[float]] = ...) -> None: ...

class PlateTimecode(_message.Message):
    __slots__ = ("first", "last", "continuous", "break_frame", "break_timecode", "before_break")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CONTINUOUS_FIELD_NUMBER: _ClassVar[int]
    BREAK_FRAME_FIELD_NUMBER: _ClassVar[int]
    BREAK_TIMECODE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_BREAK_FIELD_NUMBER: _ClassVar[int]
    first: str
    last: str
    continuous: bool
    break_frame: int
    break_timecode: str
    before_break: str
    def __init__(self, first: _Optional[str] = ..., last: _Optional[str] = ..., continuous: bool = ..., break_frame: _Optional[int] = ..., break_timecode: _Optional[str] = ..., before_break: _Optional[str] = ...) -> None: ...

class Rational(_message.Message):
    __slots__ = ("numerator", "denominator")
    NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    numerator: int
    denominator: int
    def __init__(self, numerator: _Optional[int] = ..., denominator: _Optional[int] = ...) -> None: ...

class PlateSlate(_message.Message):
    __slots__ = ("reel", "key_code", "camera", "lens", "owner")
    REEL_FIELD_NUMBER: _ClassVar[int]
    KEY_CODE_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    LENS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    reel: str
    key_code: str
    camera: str
    lens: str
    owner: str
    def __init__(self, reel: _Optional[str] = ..., key_code: _Optional[str] = ..., camera: _Optional[str] = ..., lens: _Optional[str] = ..., owner: _Optional[str] = ...) -> None: ...

class PlateDifference(_message.Message):
    __slots__ = ("what", "frames", "expected", "found")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    what: str
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    expected: str
    found: str
    def __init__(self, what: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., expected: _Optional[str] = ..., found: _Optional[str] = ...) -> None: ...

class UnreadableFrame(_message.Message):
    __slots__ = ("frame", "message")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    frame: int
    message: str
    def __init__(self, frame: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...
