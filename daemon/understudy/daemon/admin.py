"""`python -m understudy.daemon.admin`: what whoever runs a daemon does beside it, with its files.

Behind `understudy token` and `understudy audit`. Ends with 0, or with 1 and a sentence on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

from understudy.core.errors import UnderstudyError
from understudy.daemon import access, audit


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one thing; gives the exit status."""
    given = _parse(arguments)
    try:
        given.do(given)
    except UnderstudyError as error:
        print(f"understudy: {error.message}", file=sys.stderr)
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{self.format_usage()}{self.prog}: {message}\n")  # 2 would mean failed frames


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="understudy")
    nouns = parser.add_subparsers(required=True, metavar="token|audit")
    token = nouns.add_parser("token", help="who may call over TCP").add_subparsers(
        required=True, metavar="create|list|revoke"
    )
    create = token.add_parser("create", help="print a new token, which is kept nowhere")
    create.add_argument("--user", required=True, help="whose jobs its jobs are")
    create.add_argument("--scope", action="append", required=True, help=" or ".join(access.SCOPES))
    create.add_argument("--only-project", default="", help="of its jobs, and no other; default any")
    create.add_argument("--days", type=float, help="until it expires; default never")
    listed = token.add_parser("list", help="the tokens, without their secrets")
    revoke = token.add_parser("revoke", help="take a token away; the daemon sees it with the next SIGHUP")
    revoke.add_argument("id")
    for each, do in ((create, _create), (listed, _list), (revoke, _revoke)):
        each.add_argument(
            "--tokens", type=Path, required=True, metavar="FILE", help="access.tokens of daemon.toml"
        )
        each.set_defaults(do=do)
    log = nouns.add_parser("audit", help="the audit log").add_subparsers(required=True, metavar="verify")
    verify = log.add_parser("verify", help="walk the chain of hashes")
    verify.add_argument("file", type=Path)
    verify.add_argument("--head", default="", help="a hash that was kept elsewhere and must be in the chain")
    verify.set_defaults(do=_verify)
    for each in (create, listed, revoke, verify):
        each.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args(arguments)


def _create(given: argparse.Namespace) -> None:
    token = access.create(given.tokens, given.user, tuple(given.scope), given.days, given.only_project)
    print(json.dumps({"token": token}) if given.json else token)


def _list(given: argparse.Namespace) -> None:
    now = datetime.now(timezone.utc)
    for token in access.kept(given.tokens):
        if given.json:
            said = token.dump()
            del said["sha256"]
            print(json.dumps(said, ensure_ascii=False))
        else:
            ends = "never expires" if token.expires is None else f"expires {token.expires.date()}"
            ends = "has expired" if token.expired(now) else ends
            project = f"  project {token.project}" if token.project else ""
            print(f"{token.id}  {token.user}  {','.join(token.scopes)}  {ends}{project}")


def _revoke(given: argparse.Namespace) -> None:
    gone = access.revoke(given.tokens, given.id)
    said = {"id": gone.id, "user": gone.user}
    print(json.dumps(said) if given.json else f"revoked {gone.id} of {gone.user}; send the daemon SIGHUP")


def _verify(given: argparse.Namespace) -> None:
    chain = audit.verify(given.file, given.head)
    text = f"{given.file}: {chain.count} lines, {chain.first} to {chain.last}, head {chain.head}"
    print(json.dumps(vars(chain)) if given.json else text)


if __name__ == "__main__":
    sys.exit(main())
