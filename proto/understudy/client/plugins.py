"""The hosts' plug-ins, written out as folders that need nothing else."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from pathlib import Path

from understudy.client.errors import Refused

STAMP = "understudy.json"  # in the folder: whose it is and which release
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "README.md")
_HERE = Path(__file__).resolve().parent


def nuke_source() -> Path:
    """The plug-in for Nuke: inside the installed package, or in the checkout.

    Raises:
        Refused: this installation came without it.
    """
    for folder in (_HERE / "nuke_plugin", _HERE.parents[2] / "nuke_plugin"):
        if (folder / "understudy_nuke").is_dir():
            return folder
    raise Refused.invalid(
        "install", "nuke", "this installation of understudy came without the plug-in for Nuke"
    )


def install_nuke(folder: Path, version: str) -> Path:
    """Write the plug-in and its link to the daemon into a folder for NUKE_PATH; gives the folder.

    Everything is written beside it first. An earlier release of it in that place goes; nothing else ever does.

    Raises:
        Refused: the folder holds something else, or cannot be written.
    """
    target = folder.absolute()
    if target.exists() and not _is_ours(target):
        raise Refused.invalid(
            "folder", str(target), f"{target} holds something else: name an empty or new folder"
        )
    made = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    old = made.with_name(made.name + ".old")
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(nuke_source(), made, ignore=_LEFT_OUT)
        shutil.copytree(_HERE / "link", made / "understudy_nuke" / "link", ignore=_LEFT_OUT)
        stamp = f'"""Which release this is."""\n\nVERSION = {version!r}\n'
        (made / "understudy_nuke" / "version.py").write_text(stamp, encoding="utf-8")
        (made / STAMP).write_text(json.dumps({"plugin": "nuke", "version": version}) + "\n", encoding="utf-8")
        if target.exists():
            target.rename(old)
        made.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            with contextlib.suppress(OSError):
                old.rename(target)
        raise Refused.invalid("folder", str(target), f"{target} cannot be written: {error}") from error
    finally:
        for left in (made, old):
            shutil.rmtree(left, ignore_errors=True)
    return target


def _is_ours(folder: Path) -> bool:
    """Whether it may be replaced: empty, or a plug-in that was written by this."""
    return folder.is_dir() and ((folder / STAMP).is_file() or not any(folder.iterdir()))
