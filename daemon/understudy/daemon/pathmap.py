"""Paths of other machines, rewritten in requests before anything looks at them.

Rules are those of Open Job Description's pathmapping-1.0: a source path of a named format and where it lies here. A
rule fits a path that is the source or below it, by whole components; the longest source that fits is taken. WINDOWS
takes both slashes and any case, as the system does. A path that begins with `scratch:` is the caller's own folder.
Source: OpenJobDescription/openjd-specifications, wiki "How Jobs Are Run", path mapping.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from understudy.core.errors import InvalidInput, NotFound
from understudy.daemon import scratch_names as scratch

VERSION = "pathmapping-1.0"
LARGEST = 1 << 20  # bytes of a file of rules
NO_SCRATCH = "this daemon keeps no files of users; whoever runs it sets scratch.folder in its configuration"
POSIX, WINDOWS = "POSIX", "WINDOWS"
_KINDS: Mapping[str, type[PurePath]] = MappingProxyType({POSIX: PurePosixPath, WINDOWS: PureWindowsPath})

# Every field of text in a request that is a path, by the name of its message; a test goes through the contract.
FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset(fields.split())
        for name, fields in {
            "PlateRef": "pattern",
            "IngestSpec": "video pattern",
            "ExtractSpec": "faceset release reference",
            "TrainSpec": "model src dst release start_from",
            "MergeSpec": "output",
            "Swap": "faceset model segmenter enhancer",
            "ReviewSpec": "movie contact_sheet",
            "TrainEnhancerSpec": "enhancer facesets",
            "GetRecipeRequest": "path",
            "TortureSpec": "folder",
            "MeasureFacesetSpec": "faceset reference",
            "FacesetSheetSpec": "faceset output",
            "FacesetCoverageSpec": "faceset output against",
            "PackFacesetSpec": "faceset output",
            "UnpackFacesetSpec": "pack output",
            "ResizeFacesetSpec": "faceset output enhancer",
            "ImportFacesetSpec": "source output release",
            "ExportFacesetSpec": "faceset output",
            "JoinFacesetsSpec": "facesets output",
            "LabelFacesSpec": "faceset polygons crops",
            "TrainSegmenterSpec": "segmenter facesets start_from",
            "ApplySegmenterSpec": "segmenter faceset",
            "PreviewSegmentationSpec": "faceset output segmenter",
            "ExportModelSpec": "model output release",
            "ImportModelSpec": "source output releases",
            "CombineModelsSpec": "output base parts",
            "RestoreModelSpec": "model",
            "PlotHistorySpec": "model output",
            "GetFacesetRequest": "path",
            "ListFacesRequest": "path",
            "ShowFacesRequest": "path",
            "ListDuplicatesRequest": "path",
            "GetFacesetStatisticsRequest": "path",
            "RejectFacesRequest": "path",
            "RestoreFacesRequest": "path",
            "PickTrackRequest": "path plate",
            "ListReviewFramesRequest": "path",
            "SetManualFacesRequest": "path",
            "ManualFace": "plate",
            "ListManualFacesRequest": "path",
            "DeleteManualFacesRequest": "path plate",
            "GetModelRequest": "path",
            "ListModelBackupsRequest": "path",
            "CreateReleaseRequest": "path",
            "GetReleaseRequest": "path",
            "GetSegmenterRequest": "path",
            "ListLabelsRequest": "path",
            "SuggestLabelsRequest": "path",
            "ClearSegmentationRequest": "path",
            "PreviewTrainingRequest": "model",
        }.items()
    }
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Where a path of another machine lies here; the names are the specification's."""

    source_path_format: str
    source_path: str
    destination_path: str

    def __post_init__(self) -> None:
        kind = _KINDS.get(self.source_path_format)
        if kind is None:
            raise InvalidInput(
                f"source_path_format: {self.source_path_format!r} is none of {', '.join(_KINDS)}",
                field="source_path_format",
                value=self.source_path_format,
            )
        if not kind(self.source_path).is_absolute():
            raise InvalidInput(
                f"source_path: {self.source_path!r} is no absolute path of format {self.source_path_format}",
                field="source_path",
                value=self.source_path,
            )
        if not self.destination_path.startswith("/"):
            raise InvalidInput(
                f"destination_path: {self.destination_path!r} is not absolute",
                field="destination_path",
                value=self.destination_path,
            )

    @property
    def depth(self) -> int:
        """Components of the source: what makes one rule longer than another."""
        return len(_KINDS[self.source_path_format](self.source_path).parts)

    def apply(self, path: str) -> str | None:
        """The path here; None where the rule does not fit. `..` stays, for the check of the roots to see."""
        kind = _KINDS[self.source_path_format]
        given, source = kind(path), kind(self.source_path)
        if not given.is_relative_to(source):
            return None
        rest = given.relative_to(source).parts
        return str(PurePosixPath(self.destination_path, *rest))


class PathMapping:
    """The rules of a site, the longest first; of rules of one length, the one that was given first.

    Args:
        home: a user's own folder, of which paths with `scratch:` speak; None: there is none.
    """

    def __init__(self, rules: Iterable[Rule] = (), home: Callable[[str], Path | None] | None = None) -> None:
        self._home = home or (lambda _: None)
        self.rules = tuple(sorted(rules, key=lambda rule: rule.depth, reverse=True))

    def path(self, path: str) -> str:
        """The path as this machine sees it; as it came where no rule fits."""
        for rule in self.rules:
            if (here := rule.apply(path)) is not None:
                return here
        return path

    def rewrite(self, message: Message, user: str = "") -> None:
        """Rewrite every path in a request of this user, in place.

        Raises:
            NotFound: a path speaks of the user's own folder, and there is none.
            InvalidInput: such a path is no name of a file in it.
        """
        home = self._home(user)
        for holder, name, value in _fields(message):
            if isinstance(value, str):
                setattr(holder, name, self._here(value, name, home))
            elif hasattr(value, "items"):  # a map: its values are the paths
                for key in list(value):
                    value[key] = self._here(value[key], name, home)
            else:
                value[:] = [self._here(each, name, home) for each in value]

    def _here(self, path: str, field: str, home: Path | None) -> str:
        if not path.startswith(scratch.PREFIX):
            return self.path(path)
        if home is None:
            raise NotFound(f"{field}: {path}: {NO_SCRATCH}", path=path, field=field, value=path)
        with suppress(OSError):  # whoever writes there will say so
            home.mkdir(mode=0o700)  # a job may make what is in it, not it
        rest = path[len(scratch.PREFIX) :].rstrip("/")
        return str(home.joinpath(*scratch.parts(rest, field)) if rest else home)


def named(message: Message) -> Iterator[str]:
    """Every path in a request."""
    for _, _, value in _fields(message):
        if isinstance(value, str):
            yield value
        else:
            yield from value.values() if hasattr(value, "values") else value


def _fields(message: Message) -> Iterator[tuple[Message, str, Any]]:
    """Every field that is a path, or several: the message that has it, its name and its value."""
    paths = FIELDS.get(message.DESCRIPTOR.name, frozenset())
    for field, value in message.ListFields():
        if field.name in paths:
            yield message, field.name, value
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not _is_map(field):
            for each in [value] if isinstance(value, Message) else value:
                yield from _fields(each)


def _is_map(field: Any) -> bool:
    return bool(field.message_type.GetOptions().map_entry)


def read(path: Path) -> tuple[Rule, ...]:
    """The rules in a file of the form pathmapping-1.0.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is of another form; names the rule.
    """
    try:
        text = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except FileNotFoundError as error:
        raise NotFound(f"path mapping {path}: there is no such file", path=path) from error
    except OSError as error:
        raise InvalidInput(f"path mapping {path}: cannot be read: {error.strerror}", path=path) from error
    try:
        said = json.loads(text)
        if not isinstance(said, dict) or said.get("version") != VERSION:
            raise ValueError(f"it is no object with version {VERSION!r}")
        return tuple(_rule(each, at) for at, each in enumerate(said["path_mapping_rules"], start=1))
    except (ValueError, TypeError, KeyError, InvalidInput) as error:
        raise InvalidInput(f"path mapping {path}: {error}", path=path, field="path_mapping") from error


def _rule(said: Any, number: int) -> Rule:
    try:
        return Rule(**said)
    except (TypeError, InvalidInput) as error:
        raise InvalidInput(f"rule {number}: {error}", field="path_mapping_rules", value=number) from error
