"""What the worker runs for each kind of job. Core's heavy modules, torch among them, are imported when needed."""

from __future__ import annotations

from collections.abc import Generator
from functools import cached_property

from understudy.core.colour import ColourConfig
from understudy.core.extract import ExtractSettings
from understudy.core.merge.settings import MergeSettings
from understudy.core.reports import Report
from understudy.core.train.settings import TrainSettings
from understudy.core.weights import WeightsReport
from understudy.daemon import decode
from understudy.daemon.decode import Ingest, Pull, Verify
from understudy.daemon.site import Site
from understudy.v1 import job_pb2


class Tasks:
    """The generators of core, for one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @cached_property
    def _colour(self) -> ColourConfig:
        return ColourConfig.open(self._site.colour_config)

    def reports(self, spec: bytes) -> Generator[Report | WeightsReport]:
        """Decode a spec, all of whose inputs must be there now, and do its work.

        Raises:
            UnderstudyError: as `decode.work` and as the work itself.
        """
        work = decode.work(job_pb2.JobSpec.FromString(spec), site=self._site, colour=self._colour)
        match work.settings:
            case Ingest() as s:
                from understudy.core.plate.ingest import ingest

                frames, space = s.frames, s.colour_space
                yield from ingest(
                    s.video, s.template, first=s.first, frames=frames, colour_space=space, colour=self._colour
                )
            case ExtractSettings() as s:
                from understudy.core import extract

                yield from extract.run(s, store=self._site.weights(), colour=self._colour)
            case TrainSettings() as s:
                from understudy.core.train import loop

                yield from loop.run(s, colour=self._colour)
            case MergeSettings() as s:
                from understudy.core.merge import shot

                yield from shot.run(s, colour=self._colour)
            case Verify() as s:
                from understudy.core import verify

                yield from verify.run(s.output.template, s.output.frames, colour=self._colour, plate=s.plate)
            case Pull() as s:
                yield from self._site.weights().pull(s.names)
