from google.protobuf import duration_pb2 as _duration_pb2
from understudy.v1 import common_pb2 as _common_pb2
from understudy.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LabelFacesSpec(_message.Message):
    __slots__ = ("faceset", "roto", "polygons", "crops", "channel", "invert", "marks", "track")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    ROTO_FIELD_NUMBER: _ClassVar[int]
    POLYGONS_FIELD_NUMBER: _ClassVar[int]
    CROPS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    INVERT_FIELD_NUMBER: _ClassVar[int]
    MARKS_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    roto: _common_pb2.PlateRef
    polygons: str
    crops: str
    channel: str
    invert: bool
    marks: str
    track: int
    def __init__(self, faceset: _Optional[str] = ..., roto: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ..., polygons: _Optional[str] = ..., crops: _Optional[str] = ..., channel: _Optional[str] = ..., invert: bool = ..., marks: _Optional[str] = ..., track: _Optional[int] = ...) -> None: ...

class TrainSegmenterSpec(_message.Message):
    __slots__ = ("segmenter", "facesets", "preset", "self_label", "target_iterations", "target_time", "until_converged", "batch_size", "seed", "device", "start_from", "all_labels")
    SEGMENTER_FIELD_NUMBER: _ClassVar[int]
    FACESETS_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    SELF_LABEL_FIELD_NUMBER: _ClassVar[int]
    TARGET_ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    TARGET_TIME_FIELD_NUMBER: _ClassVar[int]
    UNTIL_CONVERGED_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    START_FROM_FIELD_NUMBER: _ClassVar[int]
    ALL_LABELS_FIELD_NUMBER: _ClassVar[int]
    segmenter: str
    facesets: _containers.RepeatedScalarFieldContainer[str]
    preset: str
    self_label: bool
    target_iterations: int
    target_time: _duration_pb2.Duration
    until_converged: bool
    batch_size: int
    seed: int
    device: str
    start_from: str
    all_labels: bool
    def __init__(self, segmenter: _Optional[str] = ..., facesets: _Optional[_Iterable[str]] = ..., preset: _Optional[str] = ..., self_label: bool = ..., target_iterations: _Optional[int] = ..., target_time: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., until_converged: bool = ..., batch_size: _Optional[int] = ..., seed: _Optional[int] = ..., device: _Optional[str] = ..., start_from: _Optional[str] = ..., all_labels: bool = ...) -> None: ...

class ApplySegmenterSpec(_message.Message):
    __slots__ = ("segmenter", "faceset", "track", "device")
    SEGMENTER_FIELD_NUMBER: _ClassVar[int]
    FACESET_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    segmenter: str
    faceset: str
    track: int
    device: str
    def __init__(self, segmenter: _Optional[str] = ..., faceset: _Optional[str] = ..., track: _Optional[int] = ..., device: _Optional[str] = ...) -> None: ...

class PreviewSegmentationSpec(_message.Message):
    __slots__ = ("faceset", "output", "segmenter", "query", "count", "cell", "device", "overwrite")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTER_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    output: str
    segmenter: str
    query: _resource_pb2.FaceQuery
    count: int
    cell: int
    device: str
    overwrite: bool
    def __init__(self, faceset: _Optional[str] = ..., output: _Optional[str] = ..., segmenter: _Optional[str] = ..., query: _Optional[_Union[_resource_pb2.FaceQuery, _Mapping]] = ..., count: _Optional[int] = ..., cell: _Optional[int] = ..., device: _Optional[str] = ..., overwrite: bool = ...) -> None: ...

class Segmenter(_message.Message):
    __slots__ = ("path", "digest", "preset", "network", "resolution", "face_type", "iteration", "time_spent", "labels", "held_out", "iou", "converged")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    FACE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    TIME_SPENT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    HELD_OUT_FIELD_NUMBER: _ClassVar[int]
    IOU_FIELD_NUMBER: _ClassVar[int]
    CONVERGED_FIELD_NUMBER: _ClassVar[int]
    path: str
    digest: str
    preset: str
    network: str
    resolution: int
    face_type: str
    iteration: int
    time_spent: _duration_pb2.Duration
    labels: int
    held_out: int
    iou: float
    converged: bool
    def __init__(self, path: _Optional[str] = ..., digest: _Optional[str] = ..., preset: _Optional[str] = ..., network: _Optional[str] = ..., resolution: _Optional[int] = ..., face_type: _Optional[str] = ..., iteration: _Optional[int] = ..., time_spent: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., labels: _Optional[int] = ..., held_out: _Optional[int] = ..., iou: _Optional[float] = ..., converged: bool = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("face", "frame", "track", "view", "kind", "origin")
    FACE_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    face: str
    frame: int
    track: int
    view: str
    kind: str
    origin: str
    def __init__(self, face: _Optional[str] = ..., frame: _Optional[int] = ..., track: _Optional[int] = ..., view: _Optional[str] = ..., kind: _Optional[str] = ..., origin: _Optional[str] = ...) -> None: ...

class LabelSuggestion(_message.Message):
    __slots__ = ("face", "frame", "track", "view", "confidence")
    FACE_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    face: str
    frame: int
    track: int
    view: str
    confidence: float
    def __init__(self, face: _Optional[str] = ..., frame: _Optional[int] = ..., track: _Optional[int] = ..., view: _Optional[str] = ..., confidence: _Optional[float] = ...) -> None: ...

class GetSegmenterRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class GetSegmenterResponse(_message.Message):
    __slots__ = ("segmenter",)
    SEGMENTER_FIELD_NUMBER: _ClassVar[int]
    segmenter: Segmenter
    def __init__(self, segmenter: _Optional[_Union[Segmenter, _Mapping]] = ...) -> None: ...

class ListLabelsRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class ListLabelsResponse(_message.Message):
    __slots__ = ("labels", "mattes")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MATTES_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedCompositeFieldContainer[Label]
    mattes: int
    def __init__(self, labels: _Optional[_Iterable[_Union[Label, _Mapping]]] = ..., mattes: _Optional[int] = ...) -> None: ...

class SuggestLabelsRequest(_message.Message):
    __slots__ = ("path", "count", "track")
    PATH_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    path: str
    count: int
    track: int
    def __init__(self, path: _Optional[str] = ..., count: _Optional[int] = ..., track: _Optional[int] = ...) -> None: ...

class SuggestLabelsResponse(_message.Message):
    __slots__ = ("suggestions",)
    SUGGESTIONS_FIELD_NUMBER: _ClassVar[int]
    suggestions: _containers.RepeatedCompositeFieldContainer[LabelSuggestion]
    def __init__(self, suggestions: _Optional[_Iterable[_Union[LabelSuggestion, _Mapping]]] = ...) -> None: ...

class ClearSegmentationRequest(_message.Message):
    __slots__ = ("path", "labels", "mattes", "query")
    PATH_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MATTES_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    path: str
    labels: bool
    mattes: bool
    query: _resource_pb2.FaceQuery
    def __init__(self, path: _Optional[str] = ..., labels: bool = ..., mattes: bool = ..., query: _Optional[_Union[_resource_pb2.FaceQuery, _Mapping]] = ...) -> None: ...

class ClearSegmentationResponse(_message.Message):
    __slots__ = ("labels", "mattes")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MATTES_FIELD_NUMBER: _ClassVar[int]
    labels: int
    mattes: int
    def __init__(self, labels: _Optional[int] = ..., mattes: _Optional[int] = ...) -> None: ...
