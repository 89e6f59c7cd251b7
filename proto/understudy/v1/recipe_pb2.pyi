from understudy.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetRecipeRequest(_message.Message):
    __slots__ = ("path", "changes", "person")
    PATH_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    path: str
    changes: Recipe
    person: str
    def __init__(self, path: _Optional[str] = ..., changes: _Optional[_Union[Recipe, _Mapping]] = ..., person: _Optional[str] = ...) -> None: ...

class GetRecipeResponse(_message.Message):
    __slots__ = ("recipe",)
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    recipe: Recipe
    def __init__(self, recipe: _Optional[_Union[Recipe, _Mapping]] = ...) -> None: ...

class Recipe(_message.Message):
    __slots__ = ("match", "match_amount", "mask", "erode", "feather", "blend", "opacity", "smooth", "keep_highlights", "mask_smooth", "match_per_frame", "face_scale", "denoise", "relight", "relight_amount", "relight_softness", "sharpen", "sharpen_kind", "sharpen_radius", "sharpen_threshold", "degrade", "degrade_colour", "degrade_steps", "motion_blur", "grain", "overrides", "super_resolution", "super_resolution_amount")
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
    MATCH_PER_FRAME_FIELD_NUMBER: _ClassVar[int]
    FACE_SCALE_FIELD_NUMBER: _ClassVar[int]
    DENOISE_FIELD_NUMBER: _ClassVar[int]
    RELIGHT_FIELD_NUMBER: _ClassVar[int]
    RELIGHT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    RELIGHT_SOFTNESS_FIELD_NUMBER: _ClassVar[int]
    SHARPEN_FIELD_NUMBER: _ClassVar[int]
    SHARPEN_KIND_FIELD_NUMBER: _ClassVar[int]
    SHARPEN_RADIUS_FIELD_NUMBER: _ClassVar[int]
    SHARPEN_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    DEGRADE_FIELD_NUMBER: _ClassVar[int]
    DEGRADE_COLOUR_FIELD_NUMBER: _ClassVar[int]
    DEGRADE_STEPS_FIELD_NUMBER: _ClassVar[int]
    MOTION_BLUR_FIELD_NUMBER: _ClassVar[int]
    GRAIN_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    SUPER_RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    SUPER_RESOLUTION_AMOUNT_FIELD_NUMBER: _ClassVar[int]
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
    match_per_frame: bool
    face_scale: _common_pb2.Keyable
    denoise: _common_pb2.Keyable
    relight: str
    relight_amount: _common_pb2.Keyable
    relight_softness: _common_pb2.Keyable
    sharpen: _common_pb2.Keyable
    sharpen_kind: str
    sharpen_radius: _common_pb2.Keyable
    sharpen_threshold: _common_pb2.Keyable
    degrade: _common_pb2.Keyable
    degrade_colour: _common_pb2.Keyable
    degrade_steps: _common_pb2.Keyable
    motion_blur: _common_pb2.Keyable
    grain: _common_pb2.Keyable
    overrides: _containers.RepeatedCompositeFieldContainer[RecipeOverride]
    super_resolution: str
    super_resolution_amount: _common_pb2.Keyable
    def __init__(self, match: _Optional[str] = ..., match_amount: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., mask: _Optional[str] = ..., erode: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., feather: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., blend: _Optional[str] = ..., opacity: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., smooth: _Optional[int] = ..., keep_highlights: bool = ..., mask_smooth: _Optional[int] = ..., match_per_frame: bool = ..., face_scale: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., denoise: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., relight: _Optional[str] = ..., relight_amount: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., relight_softness: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., sharpen: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., sharpen_kind: _Optional[str] = ..., sharpen_radius: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., sharpen_threshold: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., degrade: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., degrade_colour: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., degrade_steps: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., motion_blur: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., grain: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ..., overrides: _Optional[_Iterable[_Union[RecipeOverride, _Mapping]]] = ..., super_resolution: _Optional[str] = ..., super_resolution_amount: _Optional[_Union[_common_pb2.Keyable, _Mapping]] = ...) -> None: ...

class RecipeOverride(_message.Message):
    __slots__ = ("frames", "like_frame", "settings")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    LIKE_FRAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    like_frame: int
    settings: Recipe
    def __init__(self, frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., like_frame: _Optional[int] = ..., settings: _Optional[_Union[Recipe, _Mapping]] = ...) -> None: ...
