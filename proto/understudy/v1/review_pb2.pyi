from understudy.v1 import common_pb2 as _common_pb2
from understudy.v1 import plate_pb2 as _plate_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReviewLayout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_LAYOUT_UNSPECIFIED: _ClassVar[ReviewLayout]
    REVIEW_LAYOUT_SINGLE: _ClassVar[ReviewLayout]
    REVIEW_LAYOUT_SIDE_BY_SIDE: _ClassVar[ReviewLayout]
    REVIEW_LAYOUT_WIPE: _ClassVar[ReviewLayout]
REVIEW_LAYOUT_UNSPECIFIED: ReviewLayout
REVIEW_LAYOUT_SINGLE: ReviewLayout
REVIEW_LAYOUT_SIDE_BY_SIDE: ReviewLayout
REVIEW_LAYOUT_WIPE: ReviewLayout

class ReviewSpec(_message.Message):
    __slots__ = ("output", "movie", "contact_sheet", "rows", "plate", "layout", "wipe", "display", "display_view", "exposure", "rate", "no_burn_in", "version", "width")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    MOVIE_FIELD_NUMBER: _ClassVar[int]
    CONTACT_SHEET_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PLATE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    WIPE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_VIEW_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    NO_BURN_IN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    output: _common_pb2.PlateRef
    movie: str
    contact_sheet: str
    rows: int
    plate: _common_pb2.PlateRef
    layout: ReviewLayout
    wipe: float
    display: str
    display_view: str
    exposure: float
    rate: _plate_pb2.Rational
    no_burn_in: bool
    version: str
    width: int
    def __init__(self, output: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ..., movie: _Optional[str] = ..., contact_sheet: _Optional[str] = ..., rows: _Optional[int] = ..., plate: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ..., layout: _Optional[_Union[ReviewLayout, str]] = ..., wipe: _Optional[float] = ..., display: _Optional[str] = ..., display_view: _Optional[str] = ..., exposure: _Optional[float] = ..., rate: _Optional[_Union[_plate_pb2.Rational, _Mapping]] = ..., no_burn_in: bool = ..., version: _Optional[str] = ..., width: _Optional[int] = ...) -> None: ...
