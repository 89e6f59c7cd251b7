"""The specs of the stages but for training, from a video to a checked comp, and of what goes beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from understudy.client.errors import Refused
from understudy.client.specs.parts import Frames, PathLike, Plate, UserMatte, absolute, plate, segments
from understudy.v1 import job_pb2 as pb
from understudy.v1.common_pb2 import Keyable, Pick
from understudy.v1.recipe_pb2 import Recipe


def recipe(base: Recipe | Mapping[str, Any] | PathLike | None = None, **settings: Any) -> Recipe:
    """A look.

    Args:
        base: where to start: a Recipe, its JSON mapping, or the path of a file that holds the mapping.
        settings: fields of `understudy.v1.Recipe`; numbers become constants, None leaves the base's or
            default.

    Raises:
        Refused: a field is not known or has the wrong type.
        NotFound: there is no such file.
    """
    result = _base_recipe(base)
    for name, value in settings.items():
        if value is None:
            continue
        if value == "":  # a script's unset variable; on the wire it would be the default
            raise Refused.invalid(f"recipe.{name}", value, "it is empty; leave it out for the default")
        field = Recipe.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise Refused.invalid(
                f"recipe.{name}", value, f"a recipe has {', '.join(Recipe.DESCRIPTOR.fields_by_name)}"
            )
        try:
            if field.message_type is None:
                setattr(result, name, value)
            else:
                getattr(result, name).CopyFrom(value if isinstance(value, Keyable) else Keyable(value=value))
        except TypeError as error:
            raise Refused.invalid(f"recipe.{name}", value, str(error)) from error
    return result


def _base_recipe(base: Recipe | Mapping[str, Any] | PathLike | None) -> Recipe:
    result = Recipe()
    if base is None:
        return result
    if isinstance(base, Recipe):
        result.CopyFrom(base)
        return result
    try:
        if isinstance(base, Mapping):
            return json_format.ParseDict(dict(base), result)
        return json_format.Parse(Path(base).read_text(encoding="utf-8"), result)
    except OSError as error:
        raise Refused.missing(str(base), f"recipe: {error.strerror}: {base}") from error
    except json_format.ParseError as error:
        raise Refused.invalid("recipe", base, f"not the JSON mapping of a recipe: {error}") from error


def ingest(
    video: PathLike,
    pattern: PathLike,
    *,
    first: int | None = None,
    frames: Frames = None,
    colour_space: str = "",
) -> pb.JobSpec:
    """A video becomes a plate."""
    spec = pb.IngestSpec(
        video=absolute(video),
        pattern=absolute(pattern),
        first=first,
        frames=segments(frames),
        colour_space=colour_space,
    )
    return pb.JobSpec(ingest=spec)


def extract(
    given: PathLike | Plate,
    faceset: PathLike,
    *,
    detector: str = "",
    landmarker: str = "",
    face_type: str = "",
    size: int = 0,
    release: PathLike = "",
    pose: str = "",
    search_every: int = 0,
    smallest: float = 0.0,
    max_faces: int = 0,
    min_score: float | None = None,
    looks: int = 0,
    upright_only: bool = False,
    identity: str = "",
    pick: Pick | tuple[int, float, float] | None = None,
    reference: PathLike = "",
    reference_distance: float = 0.0,
    device: str = "",
    workers: int = 0,
) -> pb.JobSpec:
    """A plate becomes a faceset.

    Args:
        release: path of a release record to attach.
        search_every: the whole picture is searched every so many frames, and faces are followed in between.
        smallest: side in plate pixels of the smallest face looked for.
        max_faces: a frame, the largest; 0 for all.
        min_score: confidence of the landmarks below which a find is no face.
        looks: how many shifted looks each face's landmarks are averaged over.
        upright_only: do not look for heads that lean more than 45 degrees.
        pick: frame, x, y in plate pixels: keep only the person who stands there.
        reference: picture of a face: keep only who looks like it, within `reference_distance`, where 1 is as unlike as
            the identity's makers call another person.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        workers: processes on the CPU; 0 by the machine.
    """
    spec = pb.ExtractSpec(
        plate=plate(given),
        faceset=absolute(faceset),
        detector=detector,
        landmarker=landmarker,
        face_type=face_type,
        size=size,
        release=absolute(release),
        pose=pose,
        search_every=search_every,
        smallest=smallest,
        max_faces=max_faces,
        min_score=min_score,
        looks=looks,
        upright_only=upright_only,
        identity=identity,
        pick=Pick(frame=pick[0], x=pick[1], y=pick[2]) if isinstance(pick, tuple) else pick,
        reference=absolute(reference),
        reference_distance=reference_distance,
        device=device,
        workers=workers,
    )
    return pb.JobSpec(extract=spec)


def merge(
    given: PathLike | Plate,
    faceset: PathLike,
    model: PathLike,
    output: PathLike,
    *,
    look: Recipe | None = None,
    frames: Frames = None,
    track: int | None = None,
    layers: bool | Sequence[str] = True,
    aligned: bool = False,
    segmenter: PathLike = "",
    user_matte: PathLike | Plate | None = None,
    user_mattes: Sequence[UserMatte] = (),
    device: str = "",
    contact_sheet: bool = True,
) -> pb.JobSpec:
    """A plate, its faceset and a model become finished frames; `frames` limits what is written, not fitted.

    Args:
        layers: names of those to write; True is all, False none.
        segmenter: folder of one, where the look's mask names `occ_face`, or `occ` of faces that have no matte.
        user_matte: a matte that limits the swap; as one of `user_mattes`.
        user_mattes: mattes in plate space by which a person says where the face goes.
    """
    swap = pb.Swap(
        faceset=absolute(faceset),
        track=track,
        model=absolute(model),
        recipe=look or Recipe(),
        segmenter=absolute(segmenter),
    )
    spec = pb.MergeSpec(
        plate=plate(given),
        swaps=[swap],
        output=absolute(output),
        no_layers=not layers,
        layers=() if isinstance(layers, bool) else layers,
        aligned=aligned,
        user_matte=None if user_matte is None else plate(user_matte),
        user_mattes=[matte.message() for matte in user_mattes],
        device=device,
        no_contact_sheet=not contact_sheet,
        frames=segments(frames),
    )
    return pb.JobSpec(merge=spec)


def verify(output: PathLike | Plate, original: PathLike | Plate | None = None) -> pb.JobSpec:
    """An output is checked against its plate; None is the one that its headers name."""
    spec = pb.VerifySpec(output=plate(output), plate=None if original is None else plate(original))
    return pb.JobSpec(verify=spec)


def pull_weights(names: Iterable[str] = ()) -> pb.JobSpec:
    """Weights are fetched; none named means those that the defaults need."""
    return pb.JobSpec(pull_weights=pb.PullWeightsSpec(names=list(names)))


def check_plate(given: PathLike | Plate) -> pb.JobSpec:
    """Every frame of a plate is read wholly."""
    return pb.JobSpec(check_plate=pb.CheckPlateSpec(plate=plate(given)))


def torture(folder: PathLike) -> pb.JobSpec:
    """A set of plates to try a pipeline with is written."""
    return pb.JobSpec(torture=pb.TortureSpec(folder=absolute(folder)))
