"""The model card: what a model is, what it was made of and what it is for, as JSON and as a page to read.

The sections are those of Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, as far as a swap model has
something to say under them. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.core.model.presets import ModelConfig
from understudy.core.model.store import State
from understudy.core.release import Release

FORMAT = "understudy.model-card/1"

INTENDED_USE = (
    "Replacing a performer's face by that of the person whom the releases below name, in shots of the production that "
    "they name. Not for anybody else's face, not beyond the releases' scope and dates, not to mislead anyone about "
    "what was filmed, and not to recognise people."
)
LIMITS = (
    "The network knows these two people only. It invents what it never saw: poses, light and expressions that lack in "
    "the facesets. Its matte is a guess; occluders need a matte of their own."
)


def describe(
    config: ModelConfig,
    state: State,
    *,
    parameters: int,
    folders: bool = False,
    export: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The card as plain values for JSON.

    Args:
        parameters: how many weights the network has.
        folders: whether those of the machine that trained it are told. They may hold names of people and shows.
        export: the options by which the file was made that the card goes into.
    """
    facesets = {"src": {"digest": state.src}, "dst": {"digest": state.dst}}
    if folders and state.src_folder:
        facesets["src"]["folder"] = state.src_folder
    return {
        "format": FORMAT,
        "digest": state.digest,
        **({"export": dict(export)} if export else {}),
        "configuration": {**config.to_dict(), "parameters": parameters},
        "colour": {
            "curve": dict(state.curve),
            "working_space": state.working_space,
            "config": state.colour,
        },
        "training": {
            "iterations": state.iteration,
            "hours": round(state.seconds / 3600, 2),
            "preset": state.preset,
            "way": state.way,
            "options": dict(state.options),
            "changes": [dict(each) for each in state.changes],
            "average": state.average,
            "losses": dict(state.losses),
            "started_from": state.pretrained,
            "parts_from": dict(state.combined),
            "facesets": facesets,
            "versions": dict(state.versions),
        },
        "releases": [_granted(release) for release in state.releases],
        "intended_use": INTENDED_USE,
        "limits": LIMITS,
    }


def markdown(card: dict[str, Any]) -> str:
    """What `describe` gave, as a page."""
    training, colour = card["training"], card["colour"]
    rows = {
        "Iterations": training["iterations"],
        "Hours of training": training["hours"],
        "Preset": training["preset"] or "none",
        "Way of training": training["way"] or "not told",
        "Options": _listed(training.get("options", {})) or "the preset's",
        "Changed while it trained": "; ".join(map(_change, training["changes"])) or "nothing",
        "Weights": "the mean over iterations" if training["average"] else "as trained",
        "Losses at the end": ", ".join(f"{n} {v:.4g}" for n, v in training.get("losses", {}).items())
        or "not told",
        "Started from (digest)": training["started_from"] or "nothing",
        **{f"Part {part} from (digest)": digest for part, digest in training["parts_from"].items()},
        "Faceset of src (digest)": training["facesets"]["src"]["digest"] or "not told",
        "Faceset of dst (digest)": training["facesets"]["dst"]["digest"] or "not told",
        **{
            f"Folder of {who}": each["folder"]
            for who, each in training["facesets"].items()
            if "folder" in each
        },
        **{f"Version of {name}": version for name, version in training["versions"].items()},
        "Working space": colour["working_space"] or "not told",
        "Swap curve": ", ".join(f"{k} {v:g}" for k, v in colour["curve"].items()) or "the default",
        "Colour config": colour["config"] or "not told",
    }
    releases = [
        f"- `{each['id']}`: {each['subject']}, {each['kind']}, for {each['scope']}, from {each['valid_from']} "
        f"{'to ' + each['valid_until'] if 'valid_until' in each else 'on'}"
        f"{', revoked ' + each['revoked'] if 'revoked' in each else ''}"
        for each in card["releases"]
    ]
    parts = [
        f"# Swap model {card['digest'][:12]}",
        f"Weights: SHA-256 `{card['digest']}`.",
        "## Intended use",
        card["intended_use"],
        "## Releases",
        "\n".join(releases) or "None: nobody's likeness may be used with it.",
        "## Configuration",
        _table(card["configuration"]),
        "## Training and colour",
        _table(rows),
        "## Limits",
        card["limits"],
    ]
    return "\n\n".join(parts) + "\n"


def _change(change: Mapping[str, Any]) -> str:
    return f"{_listed(change.get('options', {}))} from iteration {change.get('iteration')} on"


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _granted(release: Release) -> dict[str, str]:
    """Of a release what a reader needs; who granted it stays with the record."""
    told = ("subject", "kind", "scope", "valid_from", "valid_until", "revoked")
    stored = release.to_dict()
    return {"id": release.id, **{name: stored[name] for name in told if name in stored}}


def _table(rows: dict[str, Any]) -> str:
    lines = [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
