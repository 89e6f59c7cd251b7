from understudy.v1 import common_pb2 as _common_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Recipe(_message.Message):
    __slots__ = ("match", "match_amount", "mask", "erode", "feather", "blend", "opacity", "smooth", "keep_highlights", "mask_smooth")
    MATCH_FIELD_NUMBER: _ClassVar[int]
    MATCH_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    ERODE_FIELD_NUMBER: _ClassVar[int]
    FEATHER_FIELD_NUMBER: _ClassVar[int]
    BLEND_FIELD_NUMBER: _ClassVar[int]
    OPACITY_FIELD_NUMBER: _ClassVar[int]
    SMOOTH_FIELD_NUMBER: _ClassVar[int]
    KEEP_HIGHLIGHTS_FIELD_NUMBER: _ClassVar[int]
    MASK_SMOOTH_FIELD_NUMBER: _ClassVar[int]
    match: str
    match_amount: _common_pb2.Keyable
    mask: str
    erode: _common_pb2.Keyable
    feather: _common_pb2.Keyable
    blend: str
    opacity: _common_pb2.Keyable
    smooth: int
    keep_highlights: bool
    mask_smooth: int
    def __init__(self, match: _Optional[str] = ..., match_amount: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., mask: _Optional[str] = ..., erode: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., feather: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., blend: _Optional[str] = ..., opacity: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., smooth: _Optional[int] = ..., keep_highlights: bool = ..., mask_smooth: _Optional[int] = ...) -> None: ...
