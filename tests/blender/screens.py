"""Pictures of the extension in a real Blender's window, for docs/blender.md; run by hand, on a display of its own.

    Xvfb :78 -screen 0 1600x1240x24 & DISPLAY=:78 openbox & understudy serve --state STATE &
    DISPLAY=:78 UNDERSTUDY_ENDPOINT=unix:STATE/daemon.sock python -m tests.blender.screens SHOT OUT blender [OPTION…]

SHOT is a folder with `plate/sh010.1001.exr` and so on (`bench.clips`, Linear Rec.709), `faces/` of who goes on, with a
release, and of the plate, a trained `swap.model`, as `inside` below names them. The extension must be installed in
that Blender. It needs `import` (ImageMagick) and `xdotool`. What Blender does is in `days/screens.py`; it asks for
pictures and keys by a line in a file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = Path(__file__).parent / "days" / "screens.py"


def main(shot: str, out: str, *blender: str) -> int:
    """Run Blender and do what its script asks; gives Blender's exit code."""
    asks = Path(shot) / "asks"
    asks.unlink(missing_ok=True)
    script = Path(shot) / "screens.py"  # where a Blender in a chroot finds it too
    script.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    process = subprocess.Popen(
        [*blender, "--window-geometry", "0", "0", "1280", "1240", "--python", str(script), "--", shot],
        env={**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1"},
    )
    while process.poll() is None:
        time.sleep(0.2)
        if asks.exists():
            what, *given = asks.read_text(encoding="utf-8").split()
            if what == "picture":
                picture(Path(out), *given)
            else:
                key(*given)
            asks.unlink()
    return process.returncode


def window() -> str:
    """Blender's, as X calls it: the last one that is shown."""
    found = ["xdotool", "search", "--onlyvisible", "--class", "blender"]
    return subprocess.run(found, check=True, capture_output=True, text=True).stdout.split()[-1]


def picture(out: Path, name: str, x: str, y: str, width: str, height: str) -> None:
    """A part of the window, from its upper left corner, as `blender-NAME.png` with few colours."""
    crop = ["-crop", f"{width}x{height}+{x}+{y}", "+repage", "+dither", "-colors", "255"]
    subprocess.run(["import", "-window", window(), *crop, f"PNG8:{out}/blender-{name}.png"], check=True)


def key(x: str, y: str, keys: str) -> None:
    """With the pointer there."""
    move = ["mousemove", "--window", window(), x, y]
    subprocess.run(["xdotool", *move, "key", "--delay", "80", keys], check=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
