"""Path mapping: which rule fits, what stays, and that no path of the contract is forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.daemon.listening import SECONDS, Place, listening, system
from understudy.core.errors import InvalidInput, NotFound
from understudy.daemon import pathmap
from understudy.daemon.pathmap import FIELDS, PathMapping, Rule
from understudy.daemon.site import Site
from understudy.v1 import (
    job_pb2,
    plate_pb2,
    preview_pb2,
    recipe_pb2,
    resource_pb2,
    resource_pb2_grpc,
    scratch_pb2,
    segment_pb2,
    system_pb2,
)

RULES = PathMapping(
    [
        Rule(source_path_format="WINDOWS", source_path="P:\\", destination_path="/mnt/p"),
        Rule(source_path_format="WINDOWS", source_path=r"P:\show\sh010", destination_path="/fast/sh010"),
        Rule(source_path_format="WINDOWS", source_path=r"\\server\share", destination_path="/mnt/share"),
        Rule(source_path_format="POSIX", source_path="/Volumes/show", destination_path="/mnt/show"),
    ]
)
# Text of requests that is no path. A new field of the contract is to be put here or into `pathmap.FIELDS`.
NO_PATHS = {
    "asker", "backup", "blend", "channel", "colour_space", "depends_on", "detector", "device", "display",
    "display_view", "document_sha256", "enhance", "face", "face_type", "format", "granted_by", "id", "identity",
    "job_id", "key",
    "keys", "kind", "label", "landmarker", "layers", "marks", "mask", "match", "name", "names", "options", "order",
    "origin", "page_token", "person", "pose", "preset", "project", "relight", "request_id", "scope", "sha256",
    "sharpen_kind",
    "subject", "super_resolution", "user", "value", "version", "view", "views", "way",
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "here"),
    [
        (r"P:\show\sh020\plate.####.exr", "/mnt/p/show/sh020/plate.####.exr"),
        (r"P:\show\sh010\plate.%04d.exr", "/fast/sh010/plate.%04d.exr"),  # the longest source
        (
            "p:/SHOW/Sh010/Plate.exr",
            "/fast/sh010/Plate.exr",
        ),  # any case, both slashes; the rest keeps its own
        (r"P:\show\sh0100\x", "/mnt/p/show/sh0100/x"),  # whole components
        (r"\\SERVER\Share\a\b", "/mnt/share/a/b"),
        ("//server/share/a", "/mnt/share/a"),
        ("/Volumes/show", "/mnt/show"),
        ("/Volumes/show/../../etc/passwd", "/mnt/show/../../etc/passwd"),  # the check of the roots sees it
        ("/Volumes/showreel/a", "/Volumes/showreel/a"),
        ("/volumes/show/a", "/volumes/show/a"),  # POSIX minds the case
        (r"Q:\show", r"Q:\show"),
        ("", ""),
        ("relative/a", "relative/a"),
    ],
)
def test_rules(given: str, here: str):
    assert RULES.path(given) == here


def test_a_request_is_rewritten_wherever_it_names_a_path():
    spec = job_pb2.JobSpec(
        merge=job_pb2.MergeSpec(
            plate={"pattern": r"P:\a\p.####.exr", "colour_space": r"P:\a"},
            swaps=[
                {
                    "faceset": r"P:\f",
                    "model": "/Volumes/show/m",
                    "user_mattes": [{"matte": {"pattern": r"P:\m.####.exr"}, "channel": r"P:\c"}],
                }
            ],
            output=r"P:\o\c.####.exr",
        )
    )
    RULES.rewrite(spec)
    assert spec.merge.plate.pattern == "/mnt/p/a/p.####.exr"
    assert spec.merge.plate.colour_space == r"P:\a"
    assert (spec.merge.swaps[0].faceset, spec.merge.swaps[0].model) == ("/mnt/p/f", "/mnt/show/m")
    assert spec.merge.output == "/mnt/p/o/c.####.exr"
    assert spec.merge.swaps[0].user_mattes[0].matte.pattern == "/mnt/p/m.####.exr"
    assert spec.merge.swaps[0].user_mattes[0].channel == r"P:\c"
    several = job_pb2.JobSpec(join_facesets={"facesets": [r"P:\a", "/x"], "output": r"P:\b"})
    RULES.rewrite(several)
    assert list(several.join_facesets.facesets) == ["/mnt/p/a", "/x"]
    parts = job_pb2.JobSpec(combine_models={"parts": {"encoder": r"P:\e", "inter": "/i"}})
    RULES.rewrite(parts)
    assert dict(parts.combine_models.parts) == {"encoder": "/mnt/p/e", "inter": "/i"}


def test_every_text_of_every_request_is_a_path_or_none():
    seen: set[str] = set()
    unknown: set[str] = set()

    def look(message: Descriptor) -> None:
        if message.full_name in seen:
            return
        seen.add(message.full_name)
        paths = FIELDS.get(message.name, frozenset())
        assert paths <= {field.name for field in message.fields}, message.name
        for field in message.fields:
            if field.name in paths:
                continue
            if field.type == FieldDescriptor.TYPE_STRING and field.name not in NO_PATHS:
                unknown.add(f"{message.name}.{field.name}")
            elif field.message_type is not None:
                look(field.message_type)

    for module in (
        job_pb2,
        plate_pb2,
        preview_pb2,
        recipe_pb2,
        resource_pb2,
        scratch_pb2,
        segment_pb2,
        system_pb2,
    ):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                look(method.input_type)
    assert not unknown
    assert set(FIELDS) <= {name.rpartition(".")[2] for name in seen}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("nonsense", "Expecting value"),
        ("[]", "is no object with version"),
        ({"version": "pathmapping-2.0", "path_mapping_rules": []}, "is no object with version"),
        ({"version": "pathmapping-1.0"}, "path_mapping_rules"),
        ({"version": "pathmapping-1.0", "path_mapping_rules": [3]}, "rule 1"),
        ({"version": "pathmapping-1.0", "path_mapping_rules": [{"source_path": "/x"}]}, "rule 1"),
        (
            {
                "version": "pathmapping-1.0",
                "path_mapping_rules": [
                    {"source_path_format": "WINDOWS", "source_path": "show", "destination_path": "/x"}
                ],
            },
            "rule 1: source_path: 'show' is no absolute path",
        ),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, said: object, why: str):
    file = tmp_path / "rules.json"
    file.write_text(said if isinstance(said, str) else json.dumps(said))
    with pytest.raises(InvalidInput) as refusal:
        pathmap.read(file)
    assert why in refusal.value.message
    with pytest.raises(NotFound):
        pathmap.read(tmp_path / "none.json")


def test_a_daemon_maps_before_it_looks_at_its_roots(tmp_path: Path):
    place = Place.at(tmp_path)
    rule = Rule(source_path_format="WINDOWS", source_path="X:\\rel", destination_path=str(tmp_path / "rel"))
    site = Site(weights_cache=tmp_path, path_mapping=(rule,))
    with listening(place, site=site, tcp="") as listener:
        asked = resource_pb2.Release(subject="performer-a", kind="test", granted_by="test clip")
        request = resource_pb2.CreateReleaseRequest(release=asked, path=r"x:\REL\a.json")
        resource_pb2_grpc.ReleaseServiceStub(listener.local()).CreateRelease(request, timeout=SECONDS)
        assert (tmp_path / "rel" / "a.json").is_file()
        info = system(listener.local()).GetInfo(system_pb2.GetInfoRequest(), timeout=SECONDS)
        assert info.path_mapping[0].source_path == "X:\\rel"
