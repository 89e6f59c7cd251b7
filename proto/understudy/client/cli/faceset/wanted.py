"""What the commands of `understudy faceset` share: options, and measuring when a key needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, TypeVar

import typer

from understudy.client import specs
from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.cli.follow import follow
from understudy.client.errors import Refused
from understudy.client.session import Session
from understudy.v1.common_pb2 import FrameSegment
from understudy.v1.resource_pb2 import Face, FaceQuery

T = TypeVar("T")
NOT_MEASURED = "NOT_MEASURED"

Faceset = Annotated[str, typer.Argument(metavar="FACESET", help="A folder, or a packed `.faceset` file.")]
Folder = Annotated[str, typer.Argument(metavar="FACESET", help="A folder.")]
Names = Annotated[
    options.Texts, typer.Option("--name", metavar="FILE", help="Only this face; again for more.")
]
Tracks = Annotated[
    options.Wholes,
    typer.Option("--track", metavar="ID", help="Only this person; again for more."),
]
Frames = Annotated[
    options.Text, typer.Option("--frames", metavar="RANGE", help="Only these frames, e.g. 1001-1100x2,1150.")
]
Ranges = Annotated[
    options.Texts,
    typer.Option(
        "--range",
        metavar="KEY=MIN..MAX",
        help="Only where a sort key is so; either end may be left out: blur=0.2.. Again for more keys.",
    ),
]
Invert = Annotated[bool, typer.Option("--invert", help="The faces that do not fit instead.")]
Sort = Annotated[str, typer.Option("--sort", metavar="KEY", help="Sort key; `understudy doctor` lists them.")]
Reverse = Annotated[bool, typer.Option("--reverse", help="The other way round than is usual for the key.")]
Limit = Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Only the first N; 0: all.")]
Reference = Annotated[
    str,
    typer.Option(
        "--reference",
        metavar="PICTURE",
        help="Measure how unlike each face is to the face in this picture first; for the key `reference`.",
    ),
]
Identity = Annotated[
    str,
    typer.Option("--identity", help="What says how unlike two faces are; `understudy doctor` lists them."),
]


@dataclass(frozen=True)
class Wanted:
    """Which faces a command is about, as its options say.

    Attributes:
        query: for the daemon.
        reference: picture of a face to measure distances to; empty for none.
    """

    query: FaceQuery
    reference: str = ""

    @property
    def keys(self) -> list[str]:
        """The sort keys that it needs."""
        named = (self.query.order, *(each.key for each in self.query.ranges))
        return list(dict.fromkeys(filter(None, named)))

    def measured(self, state: State, session: Session, faceset: str, ask: Callable[[], T]) -> T:
        """What `ask` gives. Where its keys are not measured yet, they are first, by a job that is shown."""
        if self.reference:
            self._measure(state, session, faceset)
        try:
            return ask()
        except Refused as error:
            if error.reason != NOT_MEASURED:
                raise
        self._measure(state, session, faceset)
        return ask()

    def faces(self, state: State, session: Session, faceset: str) -> Iterator[Face]:
        """The faces, measured first where needed."""
        return self.measured(state, session, faceset, lambda: begun(session.faces(faceset, self.query)))

    def _measure(self, state: State, session: Session, faceset: str) -> None:
        follow(state, [session.measure_faceset(faceset, keys=self.keys, reference=self.reference)])


def wanted(
    *,
    names: Sequence[str] | None,
    tracks: Sequence[int] | None,
    frames: Sequence[FrameSegment],
    views: Sequence[str] | None,
    ranges: Sequence[str] | None,
    invert: bool,
    order: str,
    reverse: bool,
    limit: int,
    reference: str,
) -> Wanted:
    """What the options say together.

    Raises:
        Refused: a range that cannot be read.
    """
    query = specs.query(
        names=names or (),
        tracks=tracks or (),
        frames=frames,
        views=views or (),
        ranges=dict(map(limits, ranges or ())),
        invert=invert,
        order=order,
        reverse=reverse,
        limit=limit,
    )
    return Wanted(query, reference)


def limits(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """`yaw=-30..30` as key and limits; either end may be left out.

    Raises:
        Refused: it is not of this form.
    """
    key, _, ends = text.partition("=")
    low, dots, high = ends.partition("..")
    try:
        if not (key and dots and (low or high)):
            raise ValueError(text)
        return key.strip(), (float(low) if low else None, float(high) if high else None)
    except ValueError as error:
        raise Refused.invalid("range", text, f"{text!r} is not KEY=MIN..MAX, e.g. yaw=-30..30") from error


def begun(items: Iterable[T]) -> Iterator[T]:
    """The same items, of which the first has been asked for: what is wrong is raised here."""
    rest = iter(items)
    for first in rest:
        return chain([first], rest)
    return iter(())
