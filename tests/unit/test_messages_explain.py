"""What operators are told about a message."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from sync.explain import explain
from sync.ignore import IgnoreList
from sync.messages import DestinationRule

IGNORE = IgnoreList.parse("*.tmp\n")


def fault(key: str) -> str | None:
    return "no line feeds" if "\n" in key else None


def lines(body: str, *, sync_deletes: bool = False) -> list[dict[str, object]]:
    return explain(
        body,
        rule=DestinationRule("dest", "in"),
        ignore=IGNORE,
        sync_deletes=sync_deletes,
        key_fault=fault,
    )


def event(*pairs: tuple[str, str]) -> str:
    return json.dumps(
        {
            "Records": [
                {"eventName": name, "s3": {"bucket": {"name": "src"}, "object": {"key": key}}}
                for name, key in pairs
            ]
        }
    )


def test_a_copy_line_is_exactly_so() -> None:
    body = {"Src_bucket": "s", "Src_key": "k", "Des_bucket": "d", "Des_key": "p/k", "Size": 3}
    assert lines(json.dumps(body | {"versionId": "v"})) == [
        {
            "action": "copy",
            "source": {"bucket": "s", "key": "k", "version_id": "v"},
            "destination": {"bucket": "d", "key": "p/k"},
            "size": 3,
            "reason": "job",
        }
    ]


def test_each_record_has_its_line_in_order() -> None:
    body = event(
        ("ObjectCreated:Put", "a"),
        ("ObjectTagging:Put", "b"),
        ("ObjectCreated:Put", "c.tmp"),
        ("ObjectRemoved:Delete", "d"),
        ("ObjectCreated:Put", "e%0A"),
        ("", "f"),
    )
    actions = [(line["action"], line["reason"]) for line in lines(body)]
    assert [action for action, _ in actions] == [
        "copy",
        "skip",
        "ignore",
        "skip",
        "reject",
        "copy",
    ]
    reasons = [str(reason) for _, reason in actions]
    assert "moves no data" in reasons[1]
    assert "*.tmp" in reasons[2]
    assert "SyncDeletes" in reasons[3]
    assert "no line feeds" in reasons[4]
    assert "taken as created" in reasons[5]


def test_deletes_where_they_are_propagated() -> None:
    body = event(("ObjectRemoved:Delete", "d"), ("ObjectRemoved:Delete", "d.tmp"))
    assert [line["action"] for line in lines(body, sync_deletes=True)] == ["delete", "ignore"]


def test_an_unreadable_body_is_one_reject_with_nothing_known() -> None:
    (line,) = lines("nonsense")
    assert line["action"] == "reject"
    assert "not JSON" in str(line["reason"])
    assert line["source"] == {"bucket": None, "key": None, "version_id": None}
    assert line["destination"] == {"bucket": None, "key": None}
    assert line["size"] is None


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_every_body_gives_json_lines(body: str) -> None:
    for line in lines(body):
        assert set(line) == {"action", "source", "destination", "size", "reason"}
        assert json.loads(json.dumps(line)) == line
