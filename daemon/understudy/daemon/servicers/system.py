"""SystemService."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import timestamp_pb2

from understudy.core import _plugins
from understudy.core.align import FACE_TYPES
from understudy.core.colour import ColourConfig
from understudy.core.extract.station import FAMILIES
from understudy.core.merge import recipe
from understudy.core.model import presets
from understudy.core.train import plan
from understudy.core.train.settings import WAY
from understudy.daemon import devices, encode
from understudy.daemon.access import Caller
from understudy.daemon.config import DaemonConfig, version
from understudy.daemon.decode import families
from understudy.daemon.decode.extract import FACE_TYPE
from understudy.daemon.decode.train import PRESET
from understudy.v1 import system_pb2, system_pb2_grpc

MIN_CLIENT = "0.1.0"  # the oldest whose calls mean what they say; raised with an incompatible change only


class SystemServicer(system_pb2_grpc.SystemServiceServicer):
    def __init__(
        self,
        config: DaemonConfig,
        colour: ColourConfig,
        caller: Callable[[grpc.ServicerContext], Caller],
    ) -> None:
        self._config = config
        self._caller = caller
        self._colour = colour
        self._started = timestamp_pb2.Timestamp()
        self._started.FromSeconds(int(time.time()))
        # Every connection begins with this call, and all that it tells but the caller holds while the daemon runs.
        # It is looked up aside: who asks first may find it there.
        aside = ThreadPoolExecutor(1, thread_name_prefix="info")
        self._told = aside.submit(self._tell)
        aside.shutdown(wait=False)

    def GetInfo(
        self, request: system_pb2.GetInfoRequest, context: grpc.ServicerContext
    ) -> system_pb2.GetInfoResponse:
        caller = self._caller(context)
        told = system_pb2.GetInfoResponse(caller=caller.name, scopes=sorted(caller.scopes))
        told.MergeFrom(self._told.result())
        return told

    def _tell(self) -> system_pb2.GetInfoResponse:
        """What is the same for all who ask."""
        roots, site = self._config.site.roots, self._config.site
        return system_pb2.GetInfoResponse(
            version=version(),
            api_versions=["understudy.v1"],
            devices=devices.found(),
            read_roots=[str(root) for root in roots.read],
            write_roots=[str(root) for root in roots.write],
            colour=system_pb2.ColourInfo(
                config=self._colour.source,
                cache_id=self._colour.cache_id,
                working_space=self._colour.working,
                colour_spaces=self._colour.names(),
            ),
            families=_families(),
            recipe=encode.parameters(recipe.parameters()),
            training=encode.parameters(plan.options()),
            state_folder=str(self._config.state),
            process_id=os.getpid(),
            start_time=self._started,
            embedded=self._config.embedded,
            min_client=MIN_CLIENT,
            path_mapping=[system_pb2.PathMappingRule(**vars(rule)) for rule in site.path_mapping],
            limits=system_pb2.Limits(**vars(site.limits)),
            workers=[slot.name for slot in self._config.workers.slots()],
        )


def _families() -> list[system_pb2.Family]:
    from understudy.core.enhancer import config as enhancers
    from understudy.core.faceset.keys import KEYS
    from understudy.core.segment.config import DEFAULT
    from understudy.core.segment.config import PRESETS as SEGMENTERS

    look = recipe.Recipe()
    table = {
        name: (families.DEFAULTS[family], _plugins.names(family))
        for name, family in {**FAMILIES, "enhance": "enhance"}.items()
    }
    table |= {
        "sort_key": ("", tuple(KEYS)),  # none: by frame and track
        "match": (look.match, _plugins.names("match")),
        "blend": (look.blend, _plugins.names("blend")),
        "preset": (PRESET, tuple(presets.known())),
        "way": (WAY, tuple(plan.WAYS)),
        "segmenter": (SEGMENTERS[DEFAULT].network, _plugins.names("segmenter")),
        "segmenter_preset": (DEFAULT, tuple(SEGMENTERS)),
        "enhancer_preset": (enhancers.DEFAULT, tuple(enhancers.PRESETS)),
        "face_type": (FACE_TYPE, tuple(FACE_TYPES)),
    }
    return [
        system_pb2.Family(name=name, default_choice=default, choices=choices)
        for name, (default, choices) in table.items()
    ]
