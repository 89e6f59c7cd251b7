"""Exports and imports as jobs: generators of reports. Imports torch only when a model is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.colour import ColourConfig
from understudy.core.model import store
from understudy.core.model.exchange import saehd
from understudy.core.model.exchange.settings import ExportSettings, ImportSettings
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned

if TYPE_CHECKING:
    from understudy.core.model.swap import SwapModel

STEP = "step"


def export(settings: ExportSettings, *, colour: ColourConfig) -> Iterator[Report]:
    """Write a model for another program. Two steps, loading and writing; then the `Artifact`.

    What is there already, made of the same weights in the same way, is left as it is.

    Raises:
        NotFound, ModelInvalid: of the model; or what was written does not answer as the model does.
        InvalidInput: as `ExportSettings.check`, and as the format's `export`.
        ReleaseMissing, ReleaseInvalid: of the likeness that goes out.
        DiskFull, WriteFailed: nothing was written.
    """
    state = store.read_state(settings.model)
    settings.check(state, colour.working)
    done = 2 if settings.done(state) else 0
    yield Started(total=2, unit=STEP, skipped=done)
    if not done:
        from understudy.core.model import swap

        model = swap.load(settings.model, "cpu")
        records = settings.releases(model.state)
        yield Advanced(done=1)
        _write(
            settings, swap.SwapModel(model.net, replace(model.state, releases=records), model.device), colour
        )
        yield Advanced(done=2)
    yield Artifact(kind="export", path=settings.out)


def _write(settings: ExportSettings, model: SwapModel, colour: ColourConfig) -> None:
    out, said, back = settings.out, settings.options, settings.swap_back
    match settings.format:
        case "onnx":
            from understudy.core.model.exchange import onnx

            onnx.export(model, out, opset=settings.opset, half=settings.half, back=back, said=said)
        case "dfm":
            from understudy.core.model.exchange import dfm

            half, gain = settings.half, settings.gain
            dfm.export(model, out, colour=colour, gain=gain, half=half, back=back, said=said)
        case "torchscript":
            from understudy.core.model.exchange import torchscript

            torchscript.export(model, out, back=back, said=said)
        case _:
            from understudy.core.model.exchange import weights

            weights.export(model, out, folders=settings.folders, said=said)


def import_(settings: ImportSettings) -> Iterator[Report]:
    """Make a model of one that comes from elsewhere. One step; then the `Artifact`.

    Raises:
        InvalidInput, NotFound, ModelInvalid, WeightsCorrupt, DiskFull, WriteFailed: as `saehd.import_` and
            `weights.import_`.
    """
    yield Started(total=1, unit=STEP)
    source, out, releases = settings.source, settings.out, settings.releases
    if settings.exported:
        from understudy.core.model.exchange import weights

        weights.import_(source, out, releases=releases)
    else:
        saehd.import_(source, out, name=settings.name, releases=releases)
    yield Advanced(done=1)
    if not releases:
        yield _unreleased(out)
    yield Artifact(kind="model", path=out)


def _unreleased(model: Path) -> Warned:
    return Warned(
        reason="RELEASE_MISSING",
        message=f"{model}: no release record was attached, so a merge or an export of this model is refused; train it "
        "on with a src faceset that has one, or import it into another folder with one",
    )
