"""What Nuke does with the plug-in, for any Python from 3.7 on: `python host_day.py FAKE INFO [-t] FOLDER…`.

FOLDER… is NUKE_PATH, FAKE has the module `nuke`, INFO is a file with the reply of GetInfo. Prints a JSON object.
"""

import importlib
import json
import os
import pkgutil
import runpy
import sys
from pathlib import Path
from typing import Any

fake, info, *rest = sys.argv[1:]
terminal, folders = rest[0] == "-t", [f for f in rest if f != "-t"]
sys.path.insert(0, fake)
before = set(sys.modules)

import nuke as _nuke  # type: ignore[import-not-found,unused-ignore]  # noqa: E402

nuke: Any = _nuke
nuke.GUI = not terminal
seen: dict = {}
for folder in folders:
    runpy.run_path(str(Path(folder) / "init.py"))
seen["after_init"] = sorted(n for n in sys.modules if n.startswith("understudy"))
for folder in folders if not terminal else []:
    runpy.run_path(str(Path(folder) / "menu.py"))
seen["after_menu"] = sorted(n for n in sys.modules if n.startswith("understudy"))
seen["menu"] = [len(m.items_) for m in nuke._fake.state.menus.values()]
seen["told"] = list(nuke._fake.state.messages)

import understudy_nuke  # type: ignore[import-not-found,unused-ignore]  # noqa: E402

seen["version"] = understudy_nuke.VERSION
seen["from"] = str(Path(understudy_nuke.__file__).parents[1])
for module in pkgutil.walk_packages(understudy_nuke.__path__, "understudy_nuke."):
    if module.name != "understudy_nuke.qt" and not module.name.startswith(
        "understudy_nuke.panel."
    ):  # they need Qt
        importlib.import_module(module.name)
said = json.loads(Path(info).read_text(encoding="utf-8"))
read: Any = nuke.nodes.Read(name="Plate", file="/p/p.%04d.exr", first=1001, last=1010)
node: Any = understudy_nuke.create(read, said)
node["us_out"].setValue("/out/v001/c_v001.%04d.exr")
from understudy_nuke import look, plates  # type: ignore[import-not-found,unused-ignore]  # noqa: E402

node["look_erode"].setExpression("frame / 2")
seen["recipe"] = look.recipe(node, 1001, 1003)
seen["plate"] = plates.resolve(node)
understudy_nuke.version_up(node)
seen["file"] = node.node("layers")["file"].value()
for name, value in (("us_src", "/s"), ("us_dst", "/d"), ("us_model", "/m")):
    node[name].setValue(value)
os.environ["UNDERSTUDY_BRIDGE"] = str(Path(folders[0]) / "no bridge here")
run = understudy_nuke.swap(node)
if terminal:
    try:
        run.wait(60)
    except understudy_nuke.daemon.UnderstudyError as error:
        seen["error"] = [type(error).__name__, error.code]
else:
    nuke._fake.serve(run.ended.is_set)
    seen["error"] = [type(run.error).__name__, run.error.code]
heavy = {"grpc", "google", "numpy", "torch", "PySide2", "PySide6", "understudy"}
seen["foreign"] = sorted({name.split(".")[0] for name in set(sys.modules) - before} & heavy)
print(json.dumps(seen))
