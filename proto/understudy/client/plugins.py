"""The hosts' plug-ins, written out as folders that need nothing else."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

from understudy.client.errors import Refused

STAMP = "understudy.json"  # in the folder: whose it is and which release
ADDON = "understudy"  # the extension's id, and what its folder in a repository is called
EPOCH = (1980, 1, 1, 0, 0, 0)  # of all files in a zip: the same sources give the same bytes
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "README.md")
_HERE = Path(__file__).resolve().parent


def nuke_source() -> Path:
    """The plug-in for Nuke: inside the installed package, or in the checkout.

    Raises:
        Refused: this installation came without it.
    """
    return _source("nuke_plugin", "understudy_nuke", "Nuke")


def blender_source() -> Path:
    """The extension for Blender, as `nuke_source`."""
    return _source("blender_addon", "blender_manifest.toml", "Blender")


def build_blender(folder: Path) -> Path:
    """Write the extension for Blender and its link to the daemon as a zip that Blender installs; gives the zip.

    Raises:
        Refused: the folder cannot be written.
    """
    files = _blender_files()
    target = folder.absolute() / f"{ADDON}-{_blender_version(files)}.zip"
    made = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, path in sorted(files.items()):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(entry, path.read_bytes())
        made.replace(target)
    except OSError as error:
        raise Refused.invalid("folder", str(folder), f"{folder} cannot be written: {error}") from error
    finally:
        made.unlink(missing_ok=True)
    return target


def install_blender(repository: Path) -> Path:
    """Unpack the extension into a folder that Blender knows as a repository of extensions; gives its folder there.

    An earlier release of it goes; nothing else ever does.

    Raises:
        Refused: what lies there is something else, or it cannot be written.
    """
    target = repository.absolute() / ADDON
    if target.exists() and not (target / "blender_manifest.toml").is_file():
        raise Refused.invalid(
            "folder", str(target), f"{target} holds something else: name another repository"
        )

    def write(made: Path) -> None:
        for name, path in _blender_files().items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, made / name)

    _replace(target, write)
    return target


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

    def write(made: Path) -> None:
        shutil.copytree(nuke_source(), made, ignore=_LEFT_OUT)
        shutil.copytree(_HERE / "link", made / "understudy_nuke" / "link", ignore=_LEFT_OUT)
        stamp = f'"""Which release this is."""\n\nVERSION = {version!r}\n'
        (made / "understudy_nuke" / "version.py").write_text(stamp, encoding="utf-8")
        (made / STAMP).write_text(json.dumps({"plugin": "nuke", "version": version}) + "\n", encoding="utf-8")

    _replace(target, write)
    return target


def _source(folder: str, holds: str, host: str) -> Path:
    for place in (_HERE / folder, _HERE.parents[2] / folder):
        if (place / holds).exists():
            return place
    raise Refused.invalid(
        "install", host.lower(), f"this installation of understudy came without the plug-in for {host}"
    )


def _replace(target: Path, write: Callable[[Path], None]) -> None:
    """Have the folder written beside its place, then put it there; what was there comes back if that fails."""
    made = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    old = made.with_name(made.name + ".old")
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        write(made)
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


def _blender_files() -> dict[str, Path]:
    """What goes into the extension: name in it to file."""
    source = blender_source()
    found = {p.relative_to(source).as_posix(): p for p in source.rglob("*") if p.is_file()}
    found |= {f"link/{p.name}": p for p in (_HERE / "link").glob("*.py")}
    return {n: p for n, p in found.items() if "__pycache__" not in n and n != "README.md"}


def _blender_version(files: dict[str, Path]) -> str:
    text = files["blender_manifest.toml"].read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert found is not None, "the manifest has no version"
    return found.group(1)


def _is_ours(folder: Path) -> bool:
    """Whether it may be replaced: empty, or a plug-in that was written by this."""
    return folder.is_dir() and ((folder / STAMP).is_file() or not any(folder.iterdir()))
