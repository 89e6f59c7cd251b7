"""What a daemon was told about its machine: settings that the server and the worker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import grpc

from understudy.core.weights import WeightStore
from understudy.daemon.limits import Limits
from understudy.daemon.pathmap import Rule
from understudy.daemon.paths import Roots
from understudy.daemon.settings import Scratch


@dataclass(frozen=True, kw_only=True)
class Site:
    """Plain values only: it travels to the worker.

    Attributes:
        roots: where requests may read and write.
        colour_config: path or `ocio://` name of the colour config; None: the pinned one.
        weights_cache: folder that weights are fetched to.
        weights_folders: folders that a site fills by hand, looked into first.
        accepted_licences: weights with a licence that forbids commercial use, which may be used here all the same.
        limits: how much is taken at once.
        path_mapping: how paths of other machines are rewritten in requests.
        scratch: what users may send and fetch.
    """

    roots: Roots = field(default_factory=Roots)
    colour_config: str | None = None
    weights_cache: Path
    weights_folders: tuple[Path, ...] = ()
    accepted_licences: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    path_mapping: tuple[Rule, ...] = ()
    scratch: Scratch = field(default_factory=Scratch)

    def of(self, user: str) -> Site:
        """As it is for one user: of all scratch folders, theirs alone."""
        own = self.scratch.home(user)
        return self if own is None else replace(self, roots=replace(self.roots, own=own))

    @property
    def written(self) -> tuple[Path, ...]:
        """Folders that somebody may write in; none: whatever the daemon's user may."""
        more = self.scratch.folder
        return (*self.roots.write, more) if self.roots.write and more else self.roots.write

    def weights(self) -> WeightStore:
        return WeightStore(self.weights_cache, self.weights_folders, accepted=self.accepted_licences)


SiteOf: TypeAlias = Callable[[grpc.ServicerContext], Site]
"""The site as it is for who makes a call."""
RootsOf: TypeAlias = Callable[[grpc.ServicerContext], Roots]
