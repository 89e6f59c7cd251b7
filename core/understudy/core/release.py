"""A likeness has a release (promise 10): who may put whose face where, and until when.

A release record is a small JSON file that travels with a src faceset as `release.json`, from there into the
model trained on it, and by its id into every frame made with it. It holds a pseudonym and the digest of the
signed document: never the document, never a civil name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from understudy.core.errors import InvalidInput, NotFound, ReleaseInvalid, ReleaseMissing
from understudy.core.files import write_text

FORMAT = "understudy.release/1"
KINDS = {
    "employment": "digital replica made under the performer's own employment on this production",
    "independent": "independently created digital replica, with the performer's consent to this use",
    "background": "digital replica of a background actor",
    "own-face": "the performer puts on their own face (repair, de-aging)",
    "fictional": "a face that belongs to nobody",
    "public-domain": "pictures in the public domain",
    "test": "test material, not for publication",
}
MAKE_ONE = (
    "understudy release create --kind test --subject performer-a "
    '--granted-by "test clip" --out a.release.json'
)
_DATES = ("granted", "valid_from", "valid_until", "revoked")


@dataclass(frozen=True, kw_only=True)
class Release:
    """One release record. All dates are calendar days and inclusive.

    Attributes:
        subject: pseudonym of the person whose face it is, such as `performer-a`.
        kind: one of `KINDS`; the first three are those of the SAG-AFTRA TV/Theatrical agreement of 2023.
        granted_by: who granted it: the person, an agent, an archive.
        granted: the day it was granted.
        scope: the specific use it was granted for, in words.
        valid_from: first day of use.
        valid_until: last day of use; None is without end.
        document: SHA-256 of the signed document, 64 hex digits, or empty where there is none.
        revoked: the day it was revoked, or None.
    """

    subject: str
    kind: str
    granted_by: str
    granted: date
    scope: str
    valid_from: date
    valid_until: date | None = None
    document: str = ""
    revoked: date | None = None

    def __post_init__(self) -> None:
        for name in ("subject", "granted_by", "scope"):
            if not getattr(self, name).strip():
                raise InvalidInput(f"release: {name} is empty", field=f"release.{name}", value="")
        if self.kind not in KINDS:
            raise InvalidInput(
                f"release: kind {self.kind!r} is none of {', '.join(KINDS)}",
                field="release.kind",
                value=self.kind,
            )
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise InvalidInput(
                f"release: valid_until {self.valid_until} is before valid_from {self.valid_from}",
                field="release.valid_until",
                value=self.valid_until,
            )
        if self.document and (len(self.document) != 64 or set(self.document) - set("0123456789abcdef")):
            raise InvalidInput(
                f"release: document {self.document!r} is not a SHA-256 in 64 lower-case hex digits",
                field="release.document",
                value=self.document,
            )

    @property
    def id(self) -> str:
        """What frames, models and manifests call it: 32 hex digits of the SHA-256 of everything in it.

        The revocation is left out, so that a revoked release is found again in what was made with it.
        """
        content = {name: value for name, value in self.to_dict().items() if name not in ("id", "revoked")}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, str]:
        """As stored, without the id: dates in ISO 8601, items that are not set left out."""
        items = {field.name: getattr(self, field.name) for field in fields(self)}
        stored = {
            n: v.isoformat() if isinstance(v, date) else str(v)
            for n, v in items.items()
            if v not in (None, "")
        }
        return {"format": FORMAT, **stored}

    def to_json(self) -> str:
        """The record with its id, as it lies in a file."""
        return json.dumps({**self.to_dict(), "id": self.id}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], *, origin: Path | str = "release") -> Release:
        """Read what `to_dict` or `to_json` wrote; `origin` is named in errors.

        Raises:
            ReleaseInvalid: not a record, an item lacking, unknown or malformed, or the id not the content's.
        """
        try:
            items = dict(record)
            if (stored_format := items.pop("format", None)) != FORMAT:
                raise ReleaseInvalid(f"{origin}: format is {stored_format!r}, not {FORMAT!r}", path=origin)
            stored_id = items.pop("id", None)
            items |= {n: date.fromisoformat(items[n]) for n in _DATES if items.get(n) is not None}
            release = cls(**items)
        except (TypeError, ValueError, AttributeError, InvalidInput) as error:
            raise ReleaseInvalid(f"{origin}: not a release record: {error}", path=origin) from error
        if stored_id not in (None, release.id):
            raise ReleaseInvalid(
                f"{origin}: the record was altered: its id is {stored_id} but its content gives {release.id}",
                path=origin,
                field="release.id",
                value=stored_id,
            )
        return release


def create(
    *,
    subject: str,
    kind: str,
    granted_by: str,
    granted: date | None = None,
    scope: str = "this production",
    valid_from: date | None = None,
    valid_until: date | None = None,
    document: Path | None = None,
) -> Release:
    """Make a record. `granted` is today, `valid_from` is `granted` unless told; `document` is only digested.

    Raises:
        InvalidInput: an item is empty, unknown or contradicts another.
        NotFound: there is no such document.
    """
    day = granted or date.today()
    if document is not None and not document.is_file():
        raise NotFound(f"{document}: there is no such document", path=document, field="release.document")
    return Release(
        subject=subject,
        kind=kind,
        granted_by=granted_by,
        granted=day,
        scope=scope,
        valid_from=valid_from or day,
        valid_until=valid_until,
        document=hashlib.sha256(document.read_bytes()).hexdigest() if document else "",
    )


def read(path: Path) -> Release:
    """Read a record from its file.

    Raises:
        NotFound: there is no such file.
        ReleaseInvalid: it is not a release record, or was altered.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            f"{path}: there is no such release file", path=path, field="release", value=path
        ) from error
    except OSError as error:
        raise ReleaseInvalid(f"{path}: not a release record: {error}", path=path, field="release") from error
    return parse(text, origin=path)


def parse(text: bytes, *, origin: Path) -> Release:
    """Read a record from the bytes of its file, wherever they are kept; `origin` is named in errors.

    Raises:
        ReleaseInvalid: it is not a release record, or was altered.
    """
    try:
        record = json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise ReleaseInvalid(
            f"{origin}: not a release record: {error}", path=origin, field="release"
        ) from error
    if not isinstance(record, dict):
        raise ReleaseInvalid(
            f"{origin}: not a release record: a JSON object is expected", path=origin, field="release"
        )
    return Release.from_dict(record, origin=origin)


def write(release: Release, path: Path) -> None:
    """Write the record as JSON, atomically."""
    write_text(path, release.to_json())


def check(release: Release | None, on: date, what: str) -> None:
    """Refuse unless there is a release and it holds on the day `on`; `what` names the work.

    Raises:
        ReleaseMissing: there is none; the message says how to make one.
        ReleaseInvalid: revoked, not yet valid or out of date.
    """
    if release is None:
        raise ReleaseMissing(
            f"{what}: no release record says that this face may be used. Make one with\n  {MAKE_ONE}\n"
            f"and attach it with --release a.release.json. Kinds: {', '.join(KINDS)}.",
            field="release",
        )
    named = f"{what}: release {release.id} of {release.subject}"
    if release.revoked is not None and release.revoked <= on:
        raise ReleaseInvalid(
            f"{named} was revoked on {release.revoked}", field="release.revoked", value=release.revoked
        )
    if on < release.valid_from:
        raise ReleaseInvalid(
            f"{named} is valid from {release.valid_from}, not on {on}",
            field="release.valid_from",
            value=release.valid_from,
        )
    if release.valid_until is not None and on > release.valid_until:
        raise ReleaseInvalid(
            f"{named} was valid until {release.valid_until}, not on {on}",
            field="release.valid_until",
            value=release.valid_until,
        )
