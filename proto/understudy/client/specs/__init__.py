"""Python values → the specs of the contract.

Paths become absolute here, because the daemon has a working folder of its own; frame tokens stay as they are.
Whether a value makes sense is the daemon's to say, so that every client hears the same; only what has no
wire form is refused.
"""

from understudy.client.specs.enhance import train_enhancer
from understudy.client.specs.facesets import (
    export_faceset,
    faceset_coverage,
    faceset_sheet,
    import_faceset,
    join_facesets,
    manual_face,
    measure_faceset,
    pack_faceset,
    query,
    resize_faceset,
    unpack_faceset,
)
from understudy.client.specs.look import change, recipe, texts
from understudy.client.specs.merge import Person, merge, merge_people
from understudy.client.specs.model import combine_models, export_model, import_model, restore_model
from understudy.client.specs.parts import (
    Frames,
    PathLike,
    Plate,
    UserMatte,
    absolute,
    is_video,
    plate,
    segments,
)
from understudy.client.specs.review import review
from understudy.client.specs.segment import (
    apply_segmenter,
    label_faces,
    preview_segmentation,
    train_segmenter,
)
from understudy.client.specs.stages import (
    check_plate,
    extract,
    ingest,
    pull_weights,
    torture,
    verify,
)
from understudy.client.specs.train import phase, plot_history, train

__all__ = [
    "Frames",
    "PathLike",
    "Person",
    "Plate",
    "UserMatte",
    "absolute",
    "apply_segmenter",
    "change",
    "check_plate",
    "combine_models",
    "export_faceset",
    "export_model",
    "extract",
    "faceset_coverage",
    "faceset_sheet",
    "import_faceset",
    "import_model",
    "ingest",
    "is_video",
    "join_facesets",
    "label_faces",
    "manual_face",
    "measure_faceset",
    "merge",
    "merge_people",
    "pack_faceset",
    "phase",
    "plate",
    "plot_history",
    "preview_segmentation",
    "pull_weights",
    "query",
    "recipe",
    "resize_faceset",
    "restore_model",
    "review",
    "segments",
    "texts",
    "torture",
    "train",
    "train_enhancer",
    "train_segmenter",
    "unpack_faceset",
    "verify",
]
