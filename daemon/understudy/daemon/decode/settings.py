"""What a spec becomes: settings of core, or our own where core has none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from understudy.core.extract import ExtractSettings
from understudy.core.frames import FrameRange
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate import Plate, Template
from understudy.core.train.settings import TrainSettings
from understudy.daemon.outputs import Output

if TYPE_CHECKING:  # loaded by the jobs that need them: most daemons live for one command
    from understudy.core.enhancer.settings import EnhancerTrainSettings
    from understudy.core.faceset.coverage import CoverageSettings
    from understudy.core.faceset.dfl import ExportSettings, ImportSettings
    from understudy.core.faceset.join import JoinSettings
    from understudy.core.faceset.measures import MeasureSettings
    from understudy.core.faceset.pack import PackSettings, UnpackSettings
    from understudy.core.faceset.resize import ResizeSettings
    from understudy.core.faceset.sheet import SheetSettings
    from understudy.core.model.backups import RestoreSettings
    from understudy.core.model.combine import CombineSettings
    from understudy.core.model.exchange.settings import ExportSettings as ExportModelSettings
    from understudy.core.model.exchange.settings import ImportSettings as ImportModelSettings
    from understudy.core.review import ReviewSettings
    from understudy.core.segment.apply import ApplySettings
    from understudy.core.segment.label import LabelSettings
    from understudy.core.segment.preview import PreviewSettings
    from understudy.core.segment.settings import SegmentTrainSettings


@dataclass(frozen=True, kw_only=True)
class Ingest:
    video: Path
    template: Template
    first: int
    frames: FrameRange | None
    colour_space: str


@dataclass(frozen=True, kw_only=True)
class Merge:
    core: MergeSettings
    contact_sheet: bool


@dataclass(frozen=True, kw_only=True)
class Verify:
    output: Plate
    plate: Template | None


@dataclass(frozen=True, kw_only=True)
class Pull:
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CheckPlate:
    plate: Plate


@dataclass(frozen=True, kw_only=True)
class Torture:
    folder: Path


@dataclass(frozen=True, kw_only=True)
class PlotHistory:
    model: Path
    out: Path


FacesetSettings: TypeAlias = (
    "MeasureSettings | SheetSettings | CoverageSettings | PackSettings | UnpackSettings | ResizeSettings"
    " | ImportSettings | ExportSettings | JoinSettings"
)
SegmentSettings: TypeAlias = "LabelSettings | SegmentTrainSettings | ApplySettings | PreviewSettings"
ModelSettings: TypeAlias = "ExportModelSettings | ImportModelSettings | CombineSettings | RestoreSettings"
Settings: TypeAlias = (
    "Ingest | ExtractSettings | TrainSettings | Merge | Verify | Pull | CheckPlate | Torture | PlotHistory"
    " | ReviewSettings | EnhancerTrainSettings | FacesetSettings | SegmentSettings | ModelSettings"
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A spec that was checked.

    Attributes:
        settings: what core is told.
        outputs: what it will write.
        label: what a list calls it.
        memory: bytes that it will need of its device (`needs.stated`).
    """

    settings: Settings
    outputs: tuple[Output, ...]
    label: str
    memory: int = 0
