"""Who calls, and what they may do.

Who can open the Unix socket is its owner and may do everything. Who comes over TCP shows a token, `ust_ID_SECRET`,
as `authorization: Bearer …`; the file of tokens keeps the SHA-256 of the secret. A secret has 256 random bits, so
there is nothing to guess, and a slow hash would only help who floods us.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

import grpc

from understudy.core.errors import InvalidInput, NotFound, WriteFailed
from understudy.core.files import write_text
from understudy.daemon.errors import NotPermitted, Unauthenticated

FORMAT = "understudy-tokens-1"
PREFIX = "ust"
READ, SUBMIT, ADMIN = SCOPES = ("read", "submit", "admin")
LARGEST = 1 << 22  # bytes of a file of tokens: 10,000 of them
_IMPLIED = {
    READ: (READ,),
    SUBMIT: (SUBMIT, READ),
    ADMIN: SCOPES,
}  # who starts jobs must be able to follow them

_READS = """
JobService/GetJob JobService/ListJobs JobService/WaitJob JobService/WatchJob JobService/ListJobFrames
SystemService/GetInfo WeightsService/ListWeights WeightsService/VerifyWeights PlateService/GetPlate
FacesetService/GetFaceset FacesetService/ListFaces FacesetService/ListDuplicates FacesetService/GetFacesetStatistics
FacesetService/ShowFaces FacesetService/PickTrack FacesetService/ListReviewFrames FacesetService/ListManualFaces
ModelService/GetModel ModelService/ListModelBackups ReleaseService/GetRelease
SegmentService/GetSegmenter SegmentService/ListLabels SegmentService/SuggestLabels RecipeService/GetRecipe
ScratchService/FetchChunk ScratchService/ListFiles
"""
_SUBMITS = """
JobService/StartJob JobService/CancelJob JobService/PauseJob JobService/ResumeJob JobService/RetryJobFrames
JobService/UpdateTraining JobService/SetJobPriority
FacesetService/RejectFaces FacesetService/RestoreFaces FacesetService/SetManualFaces
FacesetService/DeleteManualFaces ReleaseService/CreateRelease SegmentService/ClearSegmentation
PreviewService/PreviewFrame PreviewService/PreviewTraining ScratchService/SendChunk ScratchService/DeleteFiles
"""
# Of every rpc. One that is not here takes an admin, until somebody has thought about it.
NEEDED: Mapping[str, str] = MappingProxyType(
    {f"/understudy.v1.{name}": READ for name in _READS.split()}
    | {f"/understudy.v1.{name}": SUBMIT for name in _SUBMITS.split()}
    | {"/grpc.health.v1.Health/Watch": READ, "/grpc.health.v1.Health/List": READ}
)
OPEN = frozenset({"/grpc.health.v1.Health/Check"})  # a load balancer has no token, and learns one word
LOCAL = frozenset({"grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"})


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls.

    Attributes:
        name: of the user; jobs belong to it.
        scopes: what they may do.
        local: came by the Unix socket.
        project: whose jobs theirs are; empty: any.
        token: id of the token; empty where there is none.
    """

    name: str
    scopes: frozenset[str]
    local: bool = False
    token: str = ""
    project: str = ""

    def need(self, method: str) -> None:
        """Refuse a call (`/package.Service/Method`) that takes more than this.

        Raises:
            NotPermitted: names the scope.
        """
        if self.local or method in OPEN:
            return
        if method[1:].partition("/")[0] in LOCAL:
            raise NotPermitted("reflection is offered on the daemon's Unix socket only")
        scope = NEEDED.get(method, ADMIN)
        if scope not in self.scopes:
            had = ", ".join(sorted(self.scopes))
            rpc = method.rpartition("/")[2]
            raise NotPermitted(
                f"{rpc} takes the scope {scope}; the token of {self.name} has {had}; ask whoever runs the daemon",
                field="scope",
                value=scope,
            )

    def project_of(self, asked: str) -> str:
        """The project of a job that this caller starts.

        Raises:
            NotPermitted: the token is for another one.
        """
        if asked and self.project and asked != self.project:
            raise NotPermitted(
                f"project: the token of {self.name} is for {self.project}, not for {asked}",
                field="project",
                value=asked,
            )
        return asked or self.project

    def need_priority(self, priority: int, most: int) -> None:
        """Refuse a priority that the site keeps to admins.

        Raises:
            NotPermitted: names both.
        """
        if priority > most and ADMIN not in self.scopes:
            raise NotPermitted(
                f"priority: {priority} takes the scope {ADMIN}; {self.name} may ask for {most} at most "
                "(queue.most_priority of the daemon's configuration)",
                field="priority",
                value=priority,
            )

    def need_of(self, job: str, owner: str) -> None:
        """Refuse to steer somebody else's job, but for an admin.

        Raises:
            NotPermitted: names the job and whose it is.
        """
        if not self.local and ADMIN not in self.scopes and owner != self.name:
            raise NotPermitted(
                f"job {job} belongs to {owner}, not to {self.name}; that takes the scope {ADMIN}", job=job
            )


@dataclass(frozen=True, kw_only=True)
class Token:
    """What the daemon keeps of a token."""

    id: str
    user: str
    scopes: tuple[str, ...]
    sha256: str
    created: datetime
    expires: datetime | None = None
    project: str = ""

    def __post_init__(self) -> None:
        if not self.project.isprintable() or len(self.project) > 64:
            raise InvalidInput(
                f"project {self.project!r} is not at most 64 printable characters",
                field="project",
                value=self.project,
            )
        if not self.user or not self.user.isprintable() or len(self.user) > 64:
            raise InvalidInput(
                f"user {self.user!r} is not 1 to 64 printable characters", field="user", value=self.user
            )
        for scope in self.scopes:
            if scope not in SCOPES:
                raise InvalidInput(
                    f"scope {scope!r} is none of {', '.join(SCOPES)}", field="scopes", value=scope
                )
        if not self.scopes:
            raise InvalidInput(f"scopes: none of {', '.join(SCOPES)} is given", field="scopes", value="")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InvalidInput("sha256 is not 64 lower-case hex digits", field="sha256", value="")

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and now >= self.expires

    def dump(self) -> dict[str, object]:
        """As it lies in the file."""
        expires = None if self.expires is None else self.expires.isoformat()
        return {
            "id": self.id,
            "user": self.user,
            "scopes": list(self.scopes),
            "sha256": self.sha256,
            "created": self.created.isoformat(),
            "expires": expires,
            **({"project": self.project} if self.project else {}),
        }

    @classmethod
    def load(cls, said: Mapping[str, object]) -> Token:
        items = dict(said)
        for name in ("created", "expires"):
            if items.get(name) is not None:
                items[name] = datetime.fromisoformat(str(items[name]))
                if items[name].tzinfo is None:  # type: ignore[attr-defined]
                    raise ValueError(f"{name} names no time zone")
        items["scopes"] = tuple(items.get("scopes") or ())  # type: ignore[arg-type]
        return cls(**items)  # type: ignore[arg-type]


class Access:
    """Tells callers apart.

    Args:
        owner: name of who may open the Unix socket.
        tokens: the file; None where the daemon does not listen on TCP.

    Raises:
        InvalidInput, NotFound: of the file of tokens.
    """

    def __init__(self, owner: str, tokens: Path | None = None) -> None:
        self._owner = Caller(name=owner, scopes=frozenset(SCOPES), local=True)
        self._path = tokens
        self._tokens: Mapping[str, Token] = {}
        self.version = 0  # grows with every reading of the file
        self.reload()

    def reload(self) -> int:
        """Read the file again, and give how many tokens it has; errors leave the old ones in use."""
        if self._path is not None:
            self._tokens = {token.id: token for token in read(self._path)}
            self.version += 1
        return len(self._tokens)

    def caller(self, context: grpc.ServicerContext) -> Caller:
        """Who makes this call.

        Raises:
            Unauthenticated: over TCP, without a token that we know.
        """
        if context.peer().startswith("unix:"):
            return self._owner
        given = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
        if not given:
            raise Unauthenticated(
                "no token; send `authorization: Bearer TOKEN`, made by `understudy token create`"
            )
        kind, _, text = str(given[0]).partition(" ")
        return self._known(text.strip() if kind.lower() == "bearer" and len(given) == 1 else "")

    def _known(self, text: str) -> Caller:
        """The caller of a token. Which part of it is wrong is not told."""
        prefix, _, rest = text.partition("_")
        name, _, secret = rest.partition("_")
        token = self._tokens.get(name)
        # Hashed and compared even where there is no such token, so that time tells nothing.
        same = hmac.compare_digest(_digest(secret), token.sha256 if token else _digest(""))
        if token is None or not same or prefix != PREFIX:
            raise Unauthenticated("the token is not one that this daemon knows; ask whoever runs it")
        if token.expired(datetime.now(timezone.utc)):
            raise Unauthenticated(f"the token of {token.user} has expired; ask whoever runs the daemon")
        scopes = frozenset(implied for scope in token.scopes for implied in _IMPLIED[scope])
        return Caller(name=token.user, scopes=scopes, token=token.id, project=token.project)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def read(path: Path, *, ours: bool = True) -> tuple[Token, ...]:
    """The tokens in a file that nobody but its owner may read.

    Args:
        ours: refuse a file that is neither our user's nor root's.

    Raises:
        NotFound: there is no such file.
        InvalidInput: others may read it, or it is no file of tokens; says what is wrong and what to do.
    """
    try:
        status = path.stat()
        text = path.read_text(encoding="utf-8") if status.st_size <= LARGEST else ""
    except FileNotFoundError as error:
        make = f"make it with `understudy token create --tokens {path} --user NAME --scope submit`"
        raise NotFound(f"tokens {path}: there is no such file; {make}", path=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"tokens {path}: cannot be read: {error}", path=path, field="tokens") from error
    refuse_shared(path, status, ours=ours)
    try:
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise ValueError(f"format is {said['format']!r}, not {FORMAT!r}")
        found = tuple(map(Token.load, said["tokens"]))
        if len({token.id for token in found}) != len(found):
            raise ValueError("two tokens have the same id")
    except (ValueError, TypeError, KeyError, AttributeError, InvalidInput) as error:
        raise InvalidInput(
            f"tokens {path}: is no file of tokens: {error}", path=path, field="tokens"
        ) from error
    return found


def kept(path: Path) -> tuple[Token, ...]:
    """The tokens for who keeps the file: root does so for the daemon's user, whose it is. Raises as `read`."""
    return read(path, ours=os.getuid() != 0)


def refuse_shared(path: Path, status: os.stat_result, *, ours: bool) -> None:
    """Raises InvalidInput where anybody but the owner may read or write the file, or the owner is a stranger."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise InvalidInput(
            f"tokens {path}: mode is {mode:04o}, so that others may use it; run `chmod 600 {path}`",
            path=path,
            field="tokens",
            value=f"{mode:04o}",
        )
    if ours and status.st_uid not in (os.getuid(), 0):
        raise InvalidInput(
            f"tokens {path}: belongs to user {status.st_uid}, not to the daemon's ({os.getuid()})",
            path=path,
            field="tokens",
            value=status.st_uid,
        )


def create(
    path: Path, user: str, scopes: tuple[str, ...], days: float | None = None, project: str = ""
) -> str:
    """Add a token to the file, made with mode 0600 where it is not there; gives the token, which is kept nowhere.

    Raises:
        InvalidInput: a scope or user that cannot be, or the file.
        WriteFailed: the file cannot be written.
    """
    old = kept(path) if path.exists() else ()
    name, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), datetime.now(timezone.utc)
    if days is not None and not 0 < days <= 36500:
        raise InvalidInput(f"days {days} is not above 0 and at most 36500", field="days", value=days)
    token = Token(
        id=name,
        user=user,
        scopes=scopes,
        sha256=_digest(secret),
        created=now,
        expires=None if days is None else now + timedelta(days=days),
        project=project,
    )
    _write(path, (*old, token))
    return f"{PREFIX}_{name}_{secret}"


def revoke(path: Path, name: str) -> Token:
    """Take a token out of the file.

    Raises:
        NotFound: none has this id.
    """
    old = kept(path)
    gone = [token for token in old if token.id == name]
    if not gone:
        raise NotFound(f"tokens {path}: there is no token {name!r}", path=path, field="id", value=name)
    _write(path, tuple(token for token in old if token.id != name))
    return gone[0]


def _write(path: Path, tokens: tuple[Token, ...]) -> None:
    """Write the file anew; root leaves it to whom it belongs, who is the daemon's user."""
    text = json.dumps({"format": FORMAT, "tokens": [token.dump() for token in tokens]}, indent=2) + "\n"
    owner = path.stat() if path.exists() else None
    before = os.umask(0o177)
    try:
        write_text(path, text)
        if owner is not None and os.getuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except WriteFailed as error:
        raise WriteFailed(f"tokens {error.message}", path=path) from error
    finally:
        os.umask(before)
