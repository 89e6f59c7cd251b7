"""The folder that is submitted: a template, its parameters' values, and a page that says what it does.

A bundle holds no endpoint, token or other secret: a worker's own environment has them. Nothing of the submitting
machine's environment is read for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.client.errors import Refused
from understudy.client.farm import yaml
from understudy.client.farm.commands import Command
from understudy.client.farm.steps import PROGRAM, TORCHRUN, Steps
from understudy.client.specs.parts import absolute

TEMPLATE, VALUES, DEADLINE, MERGES = (
    "template.yaml",
    "parameters.json",
    "parameter_values.json",
    "merges.json",
)
_MARK = "# An understudy farm bundle\n"
_JOB_NAME = 128  # characters (2023-09 template schemas, 1)


def template(name: str, steps: Steps) -> dict[str, Any]:
    """The job template, of revision 2023-09."""
    return {
        "specificationVersion": "jobtemplate-2023-09",
        **({"extensions": ["TASK_CHUNKING"]} if steps.merges else {}),
        "name": name,
        "description": "Face replacement by understudy: "
        + ", ".join(each["name"] for each in steps.made)
        + ".",
        "parameterDefinitions": list(steps.parameters.definitions.values()),
        "steps": steps.made,
    }


def write(folder: Path, name: str, steps: Steps) -> list[Path]:
    """Write a bundle; one that is there is replaced.

    Returns:
        Its files.

    Raises:
        Refused: the folder is another's, or the name is none that a job may have.
    """
    file = folder / TEMPLATE
    ours = file.is_file() and file.read_text(encoding="utf-8").startswith(_MARK)
    if folder.exists() and not ours and not (folder.is_dir() and not any(folder.iterdir())):
        raise Refused.invalid("bundle", folder, f"{folder}: there is something else; name a new folder")
    if not 0 < len(name) <= _JOB_NAME or not name.isprintable() or "{{" in name:
        raise Refused.invalid(
            "name", name, f"{name!r}: a job's name has 1 to {_JOB_NAME} printable characters, no {{{{"
        )
    values = steps.parameters.values
    texts = {
        TEMPLATE: _MARK + yaml.text(template(name, steps)),
        VALUES: _json(values),
        DEADLINE: _json({"parameterValues": [{"name": k, "value": v} for k, v in values.items()]}),
        MERGES: _json({frames: _patterns(command) for frames, command in steps.merges.items()}),
        "README.md": _page(name, steps),
        **steps.files,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for each, text in texts.items():
        (folder / each).write_text(text, encoding="utf-8")
    return [folder / each for each in texts]


def _patterns(merge: Command) -> dict[str, str]:
    """What of a merge has to be known to find its faulty frames."""
    found = {}
    for option in ("plate", "out"):
        given = merge.option(option)
        assert given is not None
        found[option] = absolute(given.values[0])
    return found


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _page(name: str, steps: Steps) -> str:
    """For who finds the folder."""
    programs = {p: d["default"] for p, d in steps.parameters.definitions.items() if p in (PROGRAM, TORCHRUN)}
    there = " and ".join(f"`{usual}` (parameter {each})" for each, usual in programs.items())
    done = "\n".join(f"- {each['name']}{_after(each)}" for each in steps.made)
    return f"""# {name}

A job of Open Job Description 2023-09, written by `understudy farm bundle`.

{done}

`{VALUES}` has the parameters' values for `openjd`, `{DEADLINE}` the same for Deadline Cloud.
The workers need {there}.

    openjd check {TEMPLATE}
    openjd run {TEMPLATE} -p file://{VALUES}

Made again, it skips what is finished. What is missing or faulty: `understudy farm redo` with this folder.
"""


def _after(step: dict[str, Any]) -> str:
    before: Sequence[dict[str, str]] = step.get("dependencies", ())
    return f", after {', '.join(each['dependsOn'] for each in before)}" if before else ""
