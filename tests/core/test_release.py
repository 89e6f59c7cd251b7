"""Releases: what a record is, when it holds, and what is said when it does not."""

import json
from datetime import date

import pytest

from understudy.core import release
from understudy.core.errors import InvalidInput, NotFound, ReleaseInvalid, ReleaseMissing

DAY = date(2026, 3, 1)


def make(**changes):
    items = {"subject": "performer-a", "kind": "test", "granted_by": "test clip", "granted": DAY}
    return release.create(**{**items, **changes})


def test_round_trip_on_disk(tmp_path):
    document = tmp_path / "signed.pdf"
    document.write_bytes(b"signed")
    made = make(valid_until=date(2027, 1, 1), scope="sh010 to sh040, theatrical", document=document)
    path = tmp_path / "a.release.json"
    release.write(made, path)
    assert release.read(path) == made
    assert json.loads(path.read_text())["id"] == made.id
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_id_changes_with_every_item_but_survives_revocation():
    made = make()
    others = [
        make(subject="performer-b"),
        make(kind="own-face"),
        make(scope="other"),
        make(granted=date(2026, 3, 2)),
    ]
    assert len({made.id, *(other.id for other in others)}) == 5
    revoked = release.Release.from_dict({**made.to_dict(), "revoked": "2026-04-01"})
    assert revoked.id == made.id


def test_altered_record_is_refused(tmp_path):
    path = tmp_path / "a.release.json"
    release.write(make(), path)
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "subject": "performer-b"}))
    with pytest.raises(ReleaseInvalid, match="was altered"):
        release.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "not a release record"),
        ("[]", "JSON object"),
        ("{}", "format is None"),
        ('{"format": "understudy.release/1", "subject": "a"}', "missing"),
        ('{"format": "understudy.release/1", "nonsense": 1}', "nonsense"),
        ('{"format": "understudy.release/1", "granted": "yesterday"}', "yesterday"),
        ('{"format": "understudy.release/1", "granted": 7}', "not a release record"),
    ],
)
def test_malformed_records_are_refused_by_name(tmp_path, text, said):
    path = tmp_path / "a.release.json"
    path.write_text(text)
    with pytest.raises(ReleaseInvalid, match=said) as caught:
        release.read(path)
    assert str(path) in caught.value.message


def test_no_file(tmp_path):
    with pytest.raises(NotFound, match="there is no such release file"):
        release.read(tmp_path / "a.release.json")
    with pytest.raises(NotFound, match="no such document"):
        make(document=tmp_path / "none.pdf")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("release.subject", {"subject": " "}),
        ("release.kind", {"kind": "celebrity"}),
        ("release.granted_by", {"granted_by": ""}),
        ("release.valid_until", {"valid_until": date(2020, 1, 1)}),
    ],
)
def test_bad_items_name_their_field(field, changes):
    with pytest.raises(InvalidInput) as caught:
        make(**changes)
    assert caught.value.field == field


def test_check_says_how_to_make_one():
    with pytest.raises(ReleaseMissing, match="understudy release create --kind test") as caught:
        release.check(None, DAY, "merge with model a")
    assert "merge with model a" in caught.value.message


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(2026, 2, 28), "valid from 2026-03-01"),
        (date(2026, 3, 1), None),
        (date(2026, 6, 1), None),
        (date(2026, 6, 2), "valid until 2026-06-01"),
    ],
)
def test_days_are_inclusive(day, said):
    held = make(valid_until=date(2026, 6, 1))
    if said is None:
        release.check(held, day, "merge")
        return
    with pytest.raises(ReleaseInvalid, match=said):
        release.check(held, day, "merge")


def test_revoked():
    revoked = release.Release.from_dict({**make().to_dict(), "revoked": "2026-04-01"})
    release.check(revoked, date(2026, 3, 31), "merge")
    with pytest.raises(ReleaseInvalid, match="revoked on 2026-04-01"):
        release.check(revoked, date(2026, 4, 1), "merge")
