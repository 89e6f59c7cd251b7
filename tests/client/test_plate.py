"""`understudy plate`: what is asked of the daemon, and how its answers look and end."""

from __future__ import annotations

import grpc
import pytest

from tests.client.command import Command
from tests.client.fake import FakeDaemon, frame, status
from understudy.client import Plate, Session
from understudy.client.cli.plate import card, size
from understudy.v1 import job_pb2
from understudy.v1 import plate_pb2 as pb
from understudy.v1.common_pb2 import FrameSegment


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path) -> Command:
    return Command(tmp_path / "state", daemon.endpoint, tmp_path)


def layer(name: str, kind: str, *channels: str) -> pb.PlateLayer:
    return pb.PlateLayer(name=name, channels=[pb.PlateChannel(name=c, type=kind) for c in channels])


def part(**changes) -> pb.PlatePart:
    items = {
        "display": {"width": 1920, "height": 1080},
        "data": {"x": -8, "y": -4, "width": 1936, "height": 1088},
        "pixel_aspect": 1.0,
        "layers": [layer("", "half", "R", "G", "B", "A"), layer("depth", "float", "Z")],
        "compression": "zips",
        "line_order": "increasing",
    }
    return pb.PlatePart(**{**items, **changes})


def plate(**changes) -> pb.Plate:
    items = {
        "pattern": "/shots/sh010/plate.####.exr",
        "format": "openexr",
        "frames": [FrameSegment(first=1001, last=1100, step=1)],
        "first": 1001,
        "last": 1100,
        "count": 100,
        "size_bytes": 1_234_567_890,
        "parts": [part()],
        "timecode": {"first": "01:00:00:00", "last": "01:00:04:03", "continuous": True},
        "rate": {"numerator": 24000, "denominator": 1001},
    }
    return pb.Plate(**{**items, **changes})


def rows(given: pb.Plate, width: int = 80) -> dict[str, str]:
    """The card, as label → text."""
    found: dict[str, str] = {}
    label = ""
    for line in card(given, width).splitlines():
        label = line[:14].strip() or label
        found[label] = " ".join(filter(None, [found.get(label), line[14:].strip()]))
    return found


def test_a_card_says_what_a_td_asks_first():
    assert card(plate(), 80).splitlines() == [
        "plate         /shots/sh010/plate.####.exr",
        "frames        1001-1100 (100 on disk, 1.2 GB)",
        "codec         OpenEXR, zips, scanlines",
        "windows       display 1920×1080, data 1936×1088 at -8, -4",
        "channels      half: R G B A; float: depth.Z",
        "colour        the header does not say; name it when you work on it",
        "timecode      01:00:00:00 to 01:00:04:03, without a break",
        "rate          24000/1001 (23.976) frames a second",
    ]


def test_what_is_special_is_said():
    tiled = part(
        pixel_aspect=2,
        compression="dwaa",
        lossy=True,
        tiles={"width": 64, "height": 32},
        line_order="decreasing",
    )
    broken = {
        "first": "01:00:00:00",
        "last": "02:00:00:00",
        "break_frame": 1050,
        "break_timecode": "02:00:00:00",
    }
    said = rows(
        plate(
            missing=[FrameSegment(first=1003, last=1003, step=1)],
            views=["left", "right"],
            parts=[tiled],
            timecode={**broken, "before_break": "01:00:02:00"},
            rate={"numerator": 25, "denominator": 1},
            colour={"guess": "ACEScg", "interop_id": "lin_ap1_scene", "chromaticities": [0.713, 0.293] * 4},
            slate={
                "reel": "A001",
                "key_code": "02 45 123456 0089+12",
                "camera": "a camera",
                "owner": "a studio",
            },
            differences=[
                {
                    "what": "data window",
                    "frames": [FrameSegment(first=1005, last=1009, step=2)],
                    "found": "9×9",
                },
                {"what": "rate", "frames": [FrameSegment(first=1100, last=1100)], "expected": "25"},
            ],
            unreadable=[{"frame": 1007, "message": "/shots/sh010/plate.1007.exr: frame 1007 is empty"}],
        )
    )
    assert said["missing"] == "1003"
    assert said["views"] == "left, right"
    assert said["codec"].startswith("OpenEXR, dwaa (lossy: ")
    assert said["codec"].endswith("tiles of 64×32, y decreasing")
    assert said["pixel aspect"] == "2"
    assert said["timecode"].endswith("broken: frame 1050 has 02:00:00:00 after 01:00:02:00")
    assert said["rate"] == "25 frames a second"
    assert said["colour"].startswith(
        "ACEScg by the header; colorInteropID lin_ap1_scene; chromaticities R 0.713 0.293"
    )
    assert (said["reel"], said["key code"], said["camera"]) == ("A001", "02 45 123456 0089+12", "a camera")
    assert said["differs"].startswith("data window on 1005-1009x2: 9×9; on the first frame")
    assert "rate on 1100" in said["differs"]
    assert said["unreadable"] == "/shots/sh010/plate.1007.exr: frame 1007 is empty"


def test_parts_and_dpx_have_rows_of_their_own():
    parts = [part(name="rgba", view="left"), part(data={"width": 1920, "height": 1080})]
    said = card(plate(parts=parts), 80)
    assert "part 0        rgba, view left\n" in said
    assert "part 1        without a name\n" in said
    assert "display 1920×1080, data window the same" in said
    codes = part(layers=[layer("", "uint16", "R", "G", "B")], compression="none", line_order="")
    coding = {"bits": 10, "packing": "Filled, method A", "endian": "big", "transfer": "Logarithmic"}
    dpx = rows(plate(format="dpx", parts=[codes], dpx=coding))
    assert dpx["DPX"] == "10 bits, Filled, method A, big-endian, transfer Logarithmic"
    assert "codec" not in dpx


def test_lines_fit_in_80_columns_but_for_words_that_do_not():
    layers = [layer(f"aov{n}", "half", "R", "G", "B") for n in range(40)]
    long = plate(pattern="/" + "x" * 90 + "/plate.####.exr", parts=[part(layers=layers)])
    first, *others = card(long, 80).splitlines()
    assert first.endswith("/plate.####.exr")
    assert max(map(len, others)) <= 80
    assert "aov38.R G B, aov39.R G B" in rows(long)["channels"]


def test_a_header_does_not_reach_the_terminal_itself():
    said = card(plate(slate={"owner": "a\x1b[2Jstudio\nB"}), 80)
    assert "owner         a [2Jstudio B" in said


def test_a_plate_that_cannot_be_read_at_all_still_has_a_card():
    said = rows(
        pb.Plate(
            pattern="/p.####.exr",
            frames=[FrameSegment(first=1, last=1)],
            count=1,
            unreadable=[{"frame": 1, "message": "no"}],
        )
    )
    assert said == {"plate": "/p.####.exr", "frames": "1 (1 on disk, 0 bytes)", "unreadable": "no"}


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 bytes"), (1500, "1.5 kB"), (2e6, "2.0 MB"), (3e12, "3.0 TB")]
)
def test_sizes_are_decimal(count, text):
    assert size(int(count)) == text


def test_info_asks_for_what_was_given(daemon: FakeDaemon, understudy: Command, tmp_path):
    daemon.plate = plate()
    done = understudy(
        "plate", "info", "sh/p.%V.####.exr", "--frames", "1001-1010x3", "--view", "left", "--view", "right"
    )
    assert (done.code, done.err) == (0, "")
    (asked,) = daemon.asked
    assert asked.pattern == f"{tmp_path}/sh/p.%V.####.exr"
    assert (asked.frames[0].last, asked.frames[0].step) == (1010, 3)
    assert asked.views == ["left", "right"]
    assert f"plate         {tmp_path}/sh/p.%V.####.exr" in done.out


def test_info_as_json_is_the_message(daemon: FakeDaemon, understudy: Command):
    daemon.plate = plate()
    (line,) = understudy("plate", "info", "p.####.exr", "--json").lines
    assert line["event"] == "plate"
    data = line["data"]
    assert set(data) >= {
        "pattern",
        "format",
        "frames",
        "missing",
        "sizeBytes",
        "parts",
        "timecode",
        "rate",
        "views",
    }
    assert data["sizeBytes"] == 1_234_567_890
    assert data["parts"][0]["data"] == {"x": -8, "y": -4, "width": 1936, "height": 1088}
    assert data["parts"][0]["layers"][1] == {"name": "depth", "channels": [{"name": "Z", "type": "float"}]}
    assert data["rate"] == {"numerator": 24000, "denominator": 1001}


def test_a_plate_that_is_not_there_is_3(daemon: FakeDaemon, understudy: Command):
    daemon.refuse["plate"] = status(
        grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "/x is a folder; it has a.####.exr 1001-1002", path="/x"
    )
    done = understudy("plate", "info", "/x")
    assert done.code == 3
    assert "it has a.####.exr 1001-1002 [NOT_FOUND]" in done.err


@pytest.mark.parametrize(("failed", "missing", "code"), [(0, 0, 0), (1, 0, 2), (1, 1, 2), (0, 1, 3)])
def test_check_ends_as_verify_does(daemon: FakeDaemon, understudy: Command, failed, missing, code, tmp_path):
    daemon.script = [
        frame(1001, warnings=["p.1001.exr: channel R: 1 of 8 values are NaN or Inf"]),
        frame(1002, job_pb2.FRAME_STATE_FAILED, "zero bytes"),
    ]
    daemon.frames_failed, daemon.frames_missing = failed, missing
    done = understudy("plate", "check", "p.####.exr", "--frames", "1001-1002", "--view", "left")
    assert done.code == code
    assert "frame 1001 ok: p.1001.exr: channel R: 1 of 8 values are NaN or Inf" in done.err
    assert "frame 1002 failed: zero bytes" in done.err
    sent = daemon.requests[0].spec.check_plate.plate
    assert (sent.pattern, sent.frames[0].last, list(sent.views)) == (f"{tmp_path}/p.####.exr", 1002, ["left"])


def test_torture_names_its_folder(daemon: FakeDaemon, understudy: Command, tmp_path):
    assert understudy("plate", "torture", "out/torture").code == 0
    assert daemon.requests[0].spec.torture.folder == f"{tmp_path}/out/torture"


def test_views_are_sent_by_every_verb_that_takes_a_plate(daemon: FakeDaemon, understudy: Command):
    daemon.script = None
    merge = ("--faceset", "f", "--model", "m", "--out", "c.####.exr")
    for arguments in (
        ("extract", "p.%V.####.exr", "f"),
        ("merge", "p.%V.####.exr", *merge),
        ("swap", "--src", "s.####.exr", "--dst", "p.%V.####.exr", "--out", "c.%V.####.exr"),
    ):
        assert understudy(*arguments, "--view", "right", "--detach").code == 0
    sent = {
        (kind, spec.plate.pattern.rpartition("/")[2]): list(spec.plate.views)
        for request in daemon.requests
        if (kind := request.spec.WhichOneof("kind")) in ("extract", "merge")
        for spec in [getattr(request.spec, kind)]
    }
    assert sent == {
        ("extract", "p.%V.####.exr"): ["right"],
        ("merge", "p.%V.####.exr"): ["right"],
        ("extract", "s.####.exr"): [],
    }


def test_python_has_the_same(daemon: FakeDaemon, session: Session):
    daemon.plate = plate()
    assert session.plate(Plate("p.####.exr", "1001-1005", views=("left",))).count == 100
    assert daemon.asked[0].views == ["left"]
    assert session.check_plate("p.####.exr").wait().stage == "check_plate"
    assert session.torture("t").wait().stage == "torture"
