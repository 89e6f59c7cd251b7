"""The specs of work with models beside training: to other programs and back, out of parts, back to a backup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from understudy.client.specs.parts import PathLike, absolute
from understudy.v1 import job_pb2 as pb
from understudy.v1 import model_pb2


def export_model(
    model: PathLike,
    output: PathLike,
    *,
    format: str = "",  # noqa: A002  as the contract calls it
    opset: int = 0,
    half: bool = False,
    gain: float = 0.0,
    swap_back: bool = False,
    release: PathLike = "",
    folders: bool = False,
) -> pb.JobSpec:
    """A model becomes a file for another program.

    Args:
        output: a file that ends as its format does, or a folder of weights.
        format: `onnx`, `dfm`, `torchscript` or `weights`. Empty: by the output's ending.
        opset: of ONNX's operators; 0 for 17. Of `onnx`.
        half: weights and arithmetic in float16. Of `onnx` and `dfm`.
        gain: brings a face as a screen shows it to mid grey; 0 for 1. Of `dfm`.
        swap_back: put dst's face on src; needs `release`.
        release: record of the face that is put on, where that is dst's.
        folders: the card tells in which folders src and dst were. Of `weights`.
    """
    spec = model_pb2.ExportModelSpec(
        model=absolute(model),
        output=absolute(output),
        format=format,
        opset=opset,
        half=half,
        gain=gain,
        swap_back=swap_back,
        release=absolute(release),
        folders=folders,
    )
    return pb.JobSpec(export_model=spec)


def import_model(
    source: PathLike, output: PathLike, *, name: str = "", releases: Iterable[PathLike] = ()
) -> pb.JobSpec:
    """A model that DeepFaceLab saved, or that was exported as weights, becomes one of ours.

    Args:
        name: of the model, where DeepFaceLab's folder holds several.
        releases: files of records of whose face it is; without one a merge refuses the model.
    """
    spec = model_pb2.ImportModelSpec(
        source=absolute(source),
        output=absolute(output),
        name=name,
        releases=[absolute(each) for each in releases],
    )
    return pb.JobSpec(import_model=spec)


def combine_models(output: PathLike, parts: Mapping[str, PathLike], *, base: PathLike = "") -> pb.JobSpec:
    """Parts of models become a model.

    Args:
        parts: part (`encoder`, `decoder_src`, …) → the model that gives it.
        base: the model that gives all other parts.
    """
    spec = model_pb2.CombineModelsSpec(
        output=absolute(output),
        base=absolute(base),
        parts={part: absolute(model) for part, model in parts.items()},
    )
    return pb.JobSpec(combine_models=spec)


def restore_model(model: PathLike, backup: str) -> pb.JobSpec:
    """A backup becomes the checkpoint that holds; the one that held is kept among the backups."""
    return pb.JobSpec(restore_model=model_pb2.RestoreModelSpec(model=absolute(model), backup=backup))
