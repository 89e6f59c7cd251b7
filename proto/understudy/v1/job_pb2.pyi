from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from understudy.v1 import common_pb2 as _common_pb2
from understudy.v1 import enhance_pb2 as _enhance_pb2
from understudy.v1 import model_pb2 as _model_pb2
from understudy.v1 import recipe_pb2 as _recipe_pb2
from understudy.v1 import resource_pb2 as _resource_pb2
from understudy.v1 import review_pb2 as _review_pb2
from understudy.v1 import segment_pb2 as _segment_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_PAUSED: _ClassVar[JobState]
    JOB_STATE_CANCELLING: _ClassVar[JobState]
    JOB_STATE_SUCCEEDED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]

class FrameState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FRAME_STATE_UNSPECIFIED: _ClassVar[FrameState]
    FRAME_STATE_DONE: _ClassVar[FrameState]
    FRAME_STATE_SKIPPED: _ClassVar[FrameState]
    FRAME_STATE_NO_FACE: _ClassVar[FrameState]
    FRAME_STATE_MISSING: _ClassVar[FrameState]
    FRAME_STATE_FAILED: _ClassVar[FrameState]

class UserMatteUse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    USER_MATTE_USE_UNSPECIFIED: _ClassVar[UserMatteUse]
    USER_MATTE_USE_LIMIT: _ClassVar[UserMatteUse]
    USER_MATTE_USE_ADD: _ClassVar[UserMatteUse]
    USER_MATTE_USE_KEEP: _ClassVar[UserMatteUse]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_PAUSED: JobState
JOB_STATE_CANCELLING: JobState
JOB_STATE_SUCCEEDED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState
FRAME_STATE_UNSPECIFIED: FrameState
FRAME_STATE_DONE: FrameState
FRAME_STATE_SKIPPED: FrameState
FRAME_STATE_NO_FACE: FrameState
FRAME_STATE_MISSING: FrameState
FRAME_STATE_FAILED: FrameState
USER_MATTE_USE_UNSPECIFIED: UserMatteUse
USER_MATTE_USE_LIMIT: UserMatteUse
USER_MATTE_USE_ADD: UserMatteUse
USER_MATTE_USE_KEEP: UserMatteUse

class JobSpec(_message.Message):
    __slots__ = ("ingest", "extract", "train", "merge", "verify", "pull_weights", "check_plate", "torture", "measure_faceset", "faceset_sheet", "faceset_coverage", "pack_faceset", "unpack_faceset", "resize_faceset", "import_faceset", "export_faceset", "join_facesets", "label_faces", "train_segmenter", "apply_segmenter", "preview_segmentation", "export_model", "import_model", "combine_models", "restore_model", "plot_history", "review", "train_enhancer")
    INGEST_FIELD_NUMBER: _ClassVar[int]
    EXTRACT_FIELD_NUMBER: _ClassVar[int]
    TRAIN_FIELD_NUMBER: _ClassVar[int]
    MERGE_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    PULL_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    CHECK_PLATE_FIELD_NUMBER: _ClassVar[int]
    TORTURE_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FACESET_FIELD_NUMBER: _ClassVar[int]
    FACESET_SHEET_FIELD_NUMBER: _ClassVar[int]
    FACESET_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    PACK_FACESET_FIELD_NUMBER: _ClassVar[int]
    UNPACK_FACESET_FIELD_NUMBER: _ClassVar[int]
    RESIZE_FACESET_FIELD_NUMBER: _ClassVar[int]
    IMPORT_FACESET_FIELD_NUMBER: _ClassVar[int]
    EXPORT_FACESET_FIELD_NUMBER: _ClassVar[int]
    JOIN_FACESETS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FACES_FIELD_NUMBER: _ClassVar[int]
    TRAIN_SEGMENTER_FIELD_NUMBER: _ClassVar[int]
    APPLY_SEGMENTER_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_SEGMENTATION_FIELD_NUMBER: _ClassVar[int]
    EXPORT_MODEL_FIELD_NUMBER: _ClassVar[int]
    IMPORT_MODEL_FIELD_NUMBER: _ClassVar[int]
    COMBINE_MODELS_FIELD_NUMBER: _ClassVar[int]
    RESTORE_MODEL_FIELD_NUMBER: _ClassVar[int]
    PLOT_HISTORY_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    TRAIN_ENHANCER_FIELD_NUMBER: _ClassVar[int]
    ingest: IngestSpec
    extract: ExtractSpec
    train: TrainSpec
    merge: MergeSpec
    verify: VerifySpec
    pull_weights: PullWeightsSpec
    check_plate: CheckPlateSpec
    torture: TortureSpec
    measure_faceset: MeasureFacesetSpec
    faceset_sheet: FacesetSheetSpec
    faceset_coverage: FacesetCoverageSpec
    pack_faceset: PackFacesetSpec
    unpack_faceset: UnpackFacesetSpec
    resize_faceset: ResizeFacesetSpec
    import_faceset: ImportFacesetSpec
    export_faceset: ExportFacesetSpec
    join_facesets: JoinFacesetsSpec
    label_faces: _segment_pb2.LabelFacesSpec
    train_segmenter: _segment_pb2.TrainSegmenterSpec
    apply_segmenter: _segment_pb2.ApplySegmenterSpec
    preview_segmentation: _segment_pb2.PreviewSegmentationSpec
    export_model: _model_pb2.ExportModelSpec
    import_model: _model_pb2.ImportModelSpec
    combine_models: _model_pb2.CombineModelsSpec
    restore_model: _model_pb2.RestoreModelSpec
    plot_history: _model_pb2.PlotHistorySpec
    review: _review_pb2.ReviewSpec
    train_enhancer: _enhance_pb2.TrainEnhancerSpec
    def __init__(self, ingest: _Optional[_Union[IngestSpec, _Mapping]] = ..., extract: _Optional[_Union[ExtractSpec, _Mapping]] = ..., train: _Optional[_Union[TrainSpec, _Mapping]] = ..., merge: _Optional[_Union[MergeSpec, _Mapping]] = ..., verify: _Optional[_Union[VerifySpec, _Mapping]] = ..., pull_weights: _Optional[_Union[PullWeightsSpec, _Mapping]] = ..., check_plate: _Optional[_Union[CheckPlateSpec, _Mapping]] = ..., torture: _Optional[_Union[TortureSpec, _Mapping]] = ..., measure_faceset: _Optional[_Union[MeasureFacesetSpec, _Mapping]] = ..., faceset_sheet: _Optional[_Union[FacesetSheetSpec, _Mapping]] = ..., faceset_coverage: _Optional[_Union[FacesetCoverageSpec, _Mapping]] = ..., pack_faceset: _Optional[_Union[PackFacesetSpec, _Mapping]] = ..., unpack_faceset: _Optional[_Union[UnpackFacesetSpec, _Mapping]] = ..., resize_faceset: _Optional[_Union[ResizeFacesetSpec, _Mapping]] = ..., import_faceset: _Optional[_Union[ImportFacesetSpec, _Mapping]] = ..., export_faceset: _Optional[_Union[ExportFacesetSpec, _Mapping]] = ..., join_facesets: _Optional[_Union[JoinFacesetsSpec, _Mapping]] = ..., label_faces: _Optional[_Union[_segment_pb2.LabelFacesSpec, _Mapping]] = ..., train_segmenter: _Optional[_Union[_segment_pb2.TrainSegmenterSpec, _Mapping]] = ..., apply_segmenter: _Optional[_Union[_segment_pb2.ApplySegmenterSpec, _Mapping]] = ..., preview_segmentation: _Optional[_Union[_segment_pb2.PreviewSegmentationSpec, _Mapping]] = ..., export_model: _Optional[_Union[_model_pb2.ExportModelSpec, _Mapping]] = ..., import_model: _Optional[_Union[_model_pb2.ImportModelSpec, _Mapping]] = ..., combine_models: _Optional[_Union[_model_pb2.CombineModelsSpec, _Mapping]] = ..., restore_model: _Optional[_Union[_model_pb2.RestoreModelSpec, _Mapping]] = ..., plot_history: _Optional[_Union[_model_pb2.PlotHistorySpec, _Mapping]] = ..., review: _Optional[_Union[_review_pb2.ReviewSpec, _Mapping]] = ..., train_enhancer: _Optional[_Union[_enhance_pb2.TrainEnhancerSpec, _Mapping]] = ...) -> None: ...

class IngestSpec(_message.Message):
    __slots__ = ("video", "pattern", "first", "frames", "colour_space")
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    COLOUR_SPACE_FIELD_NUMBER: _ClassVar[int]
    video: str
    pattern: str
    first: int
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    colour_space: str
    def __init__(self, video: _Optional[str] = ..., pattern: _Optional[str] = ..., first: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., colour_space: _Optional[str] = ...) -> None: ...

class ExtractSpec(_message.Message):
    __slots__ = ("plate", "faceset", "detector", "landmarker", "face_type", "size", "release", "pose", "search_every", "smallest", "max_faces", "min_score", "looks", "upright_only", "identity", "pick", "reference", "reference_distance", "device", "workers")
    PLATE_FIELD_NUMBER: _ClassVar[int]
    FACESET_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    LANDMARKER_FIELD_NUMBER: _ClassVar[int]
    FACE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    POSE_FIELD_NUMBER: _ClassVar[int]
    SEARCH_EVERY_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_FIELD_NUMBER: _ClassVar[int]
    MAX_FACES_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    LOOKS_FIELD_NUMBER: _ClassVar[int]
    UPRIGHT_ONLY_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PICK_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    plate: _common_pb2.PlateRef
    faceset: str
    detector: str
    landmarker: str
    face_type: str
    size: int
    release: str
    pose: str
    search_every: int
    smallest: float
    max_faces: int
    min_score: float
    looks: int
    upright_only: bool
    identity: str
    pick: _common_pb2.Pick
    reference: str
    reference_distance: float
    device: str
    workers: int
    def __init__(self, plate: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ..., faceset: _Optional[str] = ..., detector: _Optional[str] = ..., landmarker: _Optional[str] = ..., face_type: _Optional[str] = ..., size: _Optional[int] = ..., release: _Optional[str] = ..., pose: _Optional[str] = ..., search_every: _Optional[int] = ..., smallest: _Optional[float] = ..., max_faces: _Optional[int] = ..., min_score: _Optional[float] = ..., looks: _Optional[int] = ..., upright_only: bool = ..., identity: _Optional[str] = ..., pick: _Optional[_Union[_common_pb2.Pick, _Mapping]] = ..., reference: _Optional[str] = ..., reference_distance: _Optional[float] = ..., device: _Optional[str] = ..., workers: _Optional[int] = ...) -> None: ...

class TrainSpec(_message.Message):
    __slots__ = ("model", "src", "dst", "preset", "target_iterations", "target_time", "batch_size", "seed", "device", "src_track", "dst_track", "release", "way", "options", "phases", "start_from", "new_inter", "memory_bytes", "until_plateau", "until", "preview_exr", "compile")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SRC_FIELD_NUMBER: _ClassVar[int]
    DST_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    TARGET_ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    TARGET_TIME_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SRC_TRACK_FIELD_NUMBER: _ClassVar[int]
    DST_TRACK_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    WAY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    START_FROM_FIELD_NUMBER: _ClassVar[int]
    NEW_INTER_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNTIL_PLATEAU_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_EXR_FIELD_NUMBER: _ClassVar[int]
    COMPILE_FIELD_NUMBER: _ClassVar[int]
    model: str
    src: str
    dst: str
    preset: str
    target_iterations: int
    target_time: _duration_pb2.Duration
    batch_size: int
    seed: int
    device: str
    src_track: int
    dst_track: int
    release: str
    way: str
    options: _containers.ScalarMap[str, str]
    phases: _containers.RepeatedCompositeFieldContainer[TrainPhase]
    start_from: str
    new_inter: bool
    memory_bytes: int
    until_plateau: bool
    until: _timestamp_pb2.Timestamp
    preview_exr: bool
    compile: bool
    def __init__(self, model: _Optional[str] = ..., src: _Optional[str] = ..., dst: _Optional[str] = ..., preset: _Optional[str] = ..., target_iterations: _Optional[int] = ..., target_time: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., batch_size: _Optional[int] = ..., seed: _Optional[int] = ..., device: _Optional[str] = ..., src_track: _Optional[int] = ..., dst_track: _Optional[int] = ..., release: _Optional[str] = ..., way: _Optional[str] = ..., options: _Optional[_Mapping[str, str]] = ..., phases: _Optional[_Iterable[_Union[TrainPhase, _Mapping]]] = ..., start_from: _Optional[str] = ..., new_inter: bool = ..., memory_bytes: _Optional[int] = ..., until_plateau: bool = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., preview_exr: bool = ..., compile: bool = ...) -> None: ...

class TrainPhase(_message.Message):
    __slots__ = ("iteration", "share", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    share: float
    options: _containers.ScalarMap[str, str]
    def __init__(self, iteration: _Optional[int] = ..., share: _Optional[float] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class MergeSpec(_message.Message):
    __slots__ = ("plate", "swaps", "output", "no_layers", "aligned", "device", "no_contact_sheet", "frames", "layers", "again", "analyse_only")
    PLATE_FIELD_NUMBER: _ClassVar[int]
    SWAPS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    NO_LAYERS_FIELD_NUMBER: _ClassVar[int]
    ALIGNED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    NO_CONTACT_SHEET_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    ANALYSE_ONLY_FIELD_NUMBER: _ClassVar[int]
    plate: _common_pb2.PlateRef
    swaps: _containers.RepeatedCompositeFieldContainer[Swap]
    output: str
    no_layers: bool
    aligned: bool
    device: str
    no_contact_sheet: bool
    frames: _containers.RepeatedCompositeFieldContainer[_common_pb2.FrameSegment]
    layers: _containers.RepeatedScalarFieldContainer[str]
    again: bool
    analyse_only: bool
    def __init__(self, plate: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ..., swaps: _Optional[_Iterable[_Union[Swap, _Mapping]]] = ..., output: _Optional[str] = ..., no_layers: bool = ..., aligned: bool = ..., device: _Optional[str] = ..., no_contact_sheet: bool = ..., frames: _Optional[_Iterable[_Union[_common_pb2.FrameSegment, _Mapping]]] = ..., layers: _Optional[_Iterable[str]] = ..., again: bool = ..., analyse_only: bool = ...) -> None: ...

class UserMatte(_message.Message):
    __slots__ = ("matte", "use", "channel", "invert")
    MATTE_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    INVERT_FIELD_NUMBER: _ClassVar[int]
    matte: _common_pb2.PlateRef
    use: UserMatteUse
    channel: str
    invert: bool
    def __init__(self, matte: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ..., use: _Optional[_Union[UserMatteUse, str]] = ..., channel: _Optional[str] = ..., invert: bool = ...) -> None: ...

class Swap(_message.Message):
    __slots__ = ("faceset", "track", "model", "recipe", "segmenter", "enhancer", "name", "user_mattes")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTER_FIELD_NUMBER: _ClassVar[int]
    ENHANCER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    USER_MATTES_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    track: int
    model: str
    recipe: _recipe_pb2.Recipe
    segmenter: str
    enhancer: str
    name: str
    user_mattes: _containers.RepeatedCompositeFieldContainer[UserMatte]
    def __init__(self, faceset: _Optional[str] = ..., track: _Optional[int] = ..., model: _Optional[str] = ..., recipe: _Optional[_Union[_recipe_pb2.Recipe, _Mapping]] = ..., segmenter: _Optional[str] = ..., enhancer: _Optional[str] = ..., name: _Optional[str] = ..., user_mattes: _Optional[_Iterable[_Union[UserMatte, _Mapping]]] = ...) -> None: ...

class VerifySpec(_message.Message):
    __slots__ = ("output", "plate")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    PLATE_FIELD_NUMBER: _ClassVar[int]
    output: _common_pb2.PlateRef
    plate: _common_pb2.PlateRef
    def __init__(self, output: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ..., plate: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ...) -> None: ...

class PullWeightsSpec(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckPlateSpec(_message.Message):
    __slots__ = ("plate",)
    PLATE_FIELD_NUMBER: _ClassVar[int]
    plate: _common_pb2.PlateRef
    def __init__(self, plate: _Optional[_Union[_common_pb2.PlateRef, _Mapping]] = ...) -> None: ...

class TortureSpec(_message.Message):
    __slots__ = ("folder",)
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    folder: str
    def __init__(self, folder: _Optional[str] = ...) -> None: ...

class MeasureFacesetSpec(_message.Message):
    __slots__ = ("faceset", "keys", "reference", "identity")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    reference: str
    identity: str
    def __init__(self, faceset: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ..., reference: _Optional[str] = ..., identity: _Optional[str] = ...) -> None: ...

class FacesetSheetSpec(_message.Message):
    __slots__ = ("faceset", "output", "query", "count", "cell")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    output: str
    query: _resource_pb2.FaceQuery
    count: int
    cell: int
    def __init__(self, faceset: _Optional[str] = ..., output: _Optional[str] = ..., query: _Optional[_Union[_resource_pb2.FaceQuery, _Mapping]] = ..., count: _Optional[int] = ..., cell: _Optional[int] = ...) -> None: ...

class FacesetCoverageSpec(_message.Message):
    __slots__ = ("faceset", "output", "against")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    output: str
    against: str
    def __init__(self, faceset: _Optional[str] = ..., output: _Optional[str] = ..., against: _Optional[str] = ...) -> None: ...

class PackFacesetSpec(_message.Message):
    __slots__ = ("faceset", "output")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    output: str
    def __init__(self, faceset: _Optional[str] = ..., output: _Optional[str] = ...) -> None: ...

class UnpackFacesetSpec(_message.Message):
    __slots__ = ("pack", "output")
    PACK_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    pack: str
    output: str
    def __init__(self, pack: _Optional[str] = ..., output: _Optional[str] = ...) -> None: ...

class ResizeFacesetSpec(_message.Message):
    __slots__ = ("faceset", "output", "size", "face_type", "enhance", "enhancer")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FACE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ENHANCE_FIELD_NUMBER: _ClassVar[int]
    ENHANCER_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    output: str
    size: int
    face_type: str
    enhance: str
    enhancer: str
    def __init__(self, faceset: _Optional[str] = ..., output: _Optional[str] = ..., size: _Optional[int] = ..., face_type: _Optional[str] = ..., enhance: _Optional[str] = ..., enhancer: _Optional[str] = ...) -> None: ...

class ImportFacesetSpec(_message.Message):
    __slots__ = ("source", "output", "release")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    source: str
    output: str
    release: str
    def __init__(self, source: _Optional[str] = ..., output: _Optional[str] = ..., release: _Optional[str] = ...) -> None: ...

class ExportFacesetSpec(_message.Message):
    __slots__ = ("faceset", "output", "quality")
    FACESET_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    faceset: str
    output: str
    quality: int
    def __init__(self, faceset: _Optional[str] = ..., output: _Optional[str] = ..., quality: _Optional[int] = ...) -> None: ...

class JoinFacesetsSpec(_message.Message):
    __slots__ = ("facesets", "output")
    FACESETS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    facesets: _containers.RepeatedScalarFieldContainer[str]
    output: str
    def __init__(self, facesets: _Optional[_Iterable[str]] = ..., output: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total", "unit", "rate", "remaining", "fraction")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    unit: str
    rate: float
    remaining: _duration_pb2.Duration
    fraction: float
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ..., unit: _Optional[str] = ..., rate: _Optional[float] = ..., remaining: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., fraction: _Optional[float] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("reason", "message", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Artifact(_message.Message):
    __slots__ = ("kind", "path", "frame", "layers")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    path: str
    frame: int
    layers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[str] = ..., path: _Optional[str] = ..., frame: _Optional[int] = ..., layers: _Optional[_Iterable[str]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "spec", "state", "label", "user", "create_time", "start_time", "end_time", "depends_on", "progress", "error", "attempts", "frames_failed", "frames_missing", "last_sequence", "artifacts", "training", "priority", "project", "interactive", "waits_for", "memory_bytes")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    DEPENDS_ON_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FAILED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_MISSING_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: JobSpec
    state: JobState
    label: str
    user: str
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    depends_on: _containers.RepeatedScalarFieldContainer[str]
    progress: Progress
    error: Error
    attempts: int
    frames_failed: int
    frames_missing: int
    last_sequence: int
    artifacts: _containers.RepeatedCompositeFieldContainer[Artifact]
    training: TrainProgress
    priority: int
    project: str
    interactive: bool
    waits_for: str
    memory_bytes: int
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ..., state: _Optional[_Union[JobState, str]] = ..., label: _Optional[str] = ..., user: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., depends_on: _Optional[_Iterable[str]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., attempts: _Optional[int] = ..., frames_failed: _Optional[int] = ..., frames_missing: _Optional[int] = ..., last_sequence: _Optional[int] = ..., artifacts: _Optional[_Iterable[_Union[Artifact, _Mapping]]] = ..., training: _Optional[_Union[TrainProgress, _Mapping]] = ..., priority: _Optional[int] = ..., project: _Optional[str] = ..., interactive: bool = ..., waits_for: _Optional[str] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("sequence", "time", "state_change", "progress", "frame", "training", "artifact", "warning", "training_update")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_CHANGE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    TRAINING_UPDATE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: _timestamp_pb2.Timestamp
    state_change: StateChange
    progress: Progress
    frame: FrameReport
    training: TrainProgress
    artifact: Artifact
    warning: Error
    training_update: TrainingUpdate
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., state_change: _Optional[_Union[StateChange, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., frame: _Optional[_Union[FrameReport, _Mapping]] = ..., training: _Optional[_Union[TrainProgress, _Mapping]] = ..., artifact: _Optional[_Union[Artifact, _Mapping]] = ..., warning: _Optional[_Union[Error, _Mapping]] = ..., training_update: _Optional[_Union[TrainingUpdate, _Mapping]] = ...) -> None: ...

class StateChange(_message.Message):
    __slots__ = ("from_state", "to_state", "error")
    FROM_STATE_FIELD_NUMBER: _ClassVar[int]
    TO_STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    from_state: JobState
    to_state: JobState
    error: Error
    def __init__(self, from_state: _Optional[_Union[JobState, str]] = ..., to_state: _Optional[_Union[JobState, str]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class FrameReport(_message.Message):
    __slots__ = ("frame", "state", "faces", "confidence", "error", "warnings", "seconds", "outputs", "digests")
    class SecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class DigestsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FRAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    frame: int
    state: FrameState
    faces: int
    confidence: float
    error: Error
    warnings: _containers.RepeatedScalarFieldContainer[str]
    seconds: _containers.ScalarMap[str, float]
    outputs: _containers.RepeatedScalarFieldContainer[str]
    digests: _containers.ScalarMap[str, str]
    def __init__(self, frame: _Optional[int] = ..., state: _Optional[_Union[FrameState, str]] = ..., faces: _Optional[int] = ..., confidence: _Optional[float] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., seconds: _Optional[_Mapping[str, float]] = ..., outputs: _Optional[_Iterable[str]] = ..., digests: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TrainProgress(_message.Message):
    __slots__ = ("iteration", "time_spent", "losses", "rate", "checkpoint", "scores")
    class LossesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class ScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    TIME_SPENT_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    time_spent: _duration_pb2.Duration
    losses: _containers.ScalarMap[str, float]
    rate: float
    checkpoint: bool
    scores: _containers.ScalarMap[str, float]
    def __init__(self, iteration: _Optional[int] = ..., time_spent: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., losses: _Optional[_Mapping[str, float]] = ..., rate: _Optional[float] = ..., checkpoint: bool = ..., scores: _Optional[_Mapping[str, float]] = ...) -> None: ...

class TrainingUpdate(_message.Message):
    __slots__ = ("options", "preview", "save", "back_up")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    BACK_UP_FIELD_NUMBER: _ClassVar[int]
    options: _containers.ScalarMap[str, str]
    preview: bool
    save: bool
    back_up: bool
    def __init__(self, options: _Optional[_Mapping[str, str]] = ..., preview: bool = ..., save: bool = ..., back_up: bool = ...) -> None: ...

class StartJobRequest(_message.Message):
    __slots__ = ("request_id", "spec", "label", "depends_on", "priority", "project", "interactive", "refuse_locked")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DEPENDS_ON_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_FIELD_NUMBER: _ClassVar[int]
    REFUSE_LOCKED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    spec: JobSpec
    label: str
    depends_on: _containers.RepeatedScalarFieldContainer[str]
    priority: int
    project: str
    interactive: bool
    refuse_locked: bool
    def __init__(self, request_id: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ..., label: _Optional[str] = ..., depends_on: _Optional[_Iterable[str]] = ..., priority: _Optional[int] = ..., project: _Optional[str] = ..., interactive: bool = ..., refuse_locked: bool = ...) -> None: ...

class StartJobResponse(_message.Message):
    __slots__ = ("job", "existing")
    JOB_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    job: Job
    existing: bool
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., existing: bool = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("states", "page_size", "page_token", "user", "project")
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[JobState]
    page_size: int
    page_token: str
    user: str
    project: str
    def __init__(self, states: _Optional[_Iterable[_Union[JobState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., user: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class PauseJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class PauseJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class ResumeJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ResumeJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class SetJobPriorityRequest(_message.Message):
    __slots__ = ("id", "priority")
    ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    priority: int
    def __init__(self, id: _Optional[str] = ..., priority: _Optional[int] = ...) -> None: ...

class SetJobPriorityResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class WaitJobRequest(_message.Message):
    __slots__ = ("id", "timeout")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    id: str
    timeout: _duration_pb2.Duration
    def __init__(self, id: _Optional[str] = ..., timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("id", "after_sequence")
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    after_sequence: int
    def __init__(self, id: _Optional[str] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("snapshot", "event", "heartbeat")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    snapshot: Job
    event: JobEvent
    heartbeat: Heartbeat
    def __init__(self, snapshot: _Optional[_Union[Job, _Mapping]] = ..., event: _Optional[_Union[JobEvent, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("time",)
    TIME_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListJobFramesRequest(_message.Message):
    __slots__ = ("id", "states", "page_size", "page_token")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    id: str
    states: _containers.RepeatedScalarFieldContainer[FrameState]
    page_size: int
    page_token: str
    def __init__(self, id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[FrameState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListJobFramesResponse(_message.Message):
    __slots__ = ("frames", "next_page_token")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[FrameReport]
    next_page_token: str
    def __init__(self, frames: _Optional[_Iterable[_Union[FrameReport, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetryJobFramesRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RetryJobFramesResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class UpdateTrainingRequest(_message.Message):
    __slots__ = ("job_id", "options", "preview", "save", "back_up")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    BACK_UP_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    options: _containers.ScalarMap[str, str]
    preview: bool
    save: bool
    back_up: bool
    def __init__(self, job_id: _Optional[str] = ..., options: _Optional[_Mapping[str, str]] = ..., preview: bool = ..., save: bool = ..., back_up: bool = ...) -> None: ...

class UpdateTrainingResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...
