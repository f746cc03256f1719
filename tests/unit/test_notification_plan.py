"""What a bucket's notifications become: merging, S3's rules, names."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.notification_store import clash
from sync.adapters.notification_plan import (
    CREATED,
    REMOVED,
    KeyFilter,
    Trigger,
    differences,
    filter_text,
    key_fault,
    overlap,
    own_id,
    plan_add,
    plan_remove,
    same,
    triggers_of,
    wanted,
)
from sync.errors import ConfigError

ARN = "arn:aws:sqs:eu-west-1:123456789012:jobs"
OTHERS: dict[str, Any] = {
    "TopicConfigurations": [
        {"Id": "t", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Events": ["s3:ObjectRestore:*"]}
    ],
    "QueueConfigurations": [
        {
            "Id": "theirs",
            "QueueArn": "arn:aws:sqs:eu-west-1:1:theirs",
            "Events": ["s3:ObjectCreated:Put"],
            "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "logs/"}]}},
        }
    ],
    "LambdaFunctionConfigurations": [
        {
            "Id": "3gsync-of-a-function",
            "LambdaFunctionArn": "arn:aws:lambda:eu-west-1:1:function:f",
            "Events": ["s3:ObjectTagging:*"],
        }
    ],
    "EventBridgeConfiguration": {},
}


def ours(*filters: KeyFilter, events: tuple[str, ...] = CREATED) -> tuple[Trigger, ...]:
    return wanted("b", filters, queue_arn=ARN, events=events, encoded=True)


def trigger(prefix: str = "", suffix: str = "", *events: str) -> Trigger:
    return Trigger("queue", f"id-{prefix}-{suffix}", ARN, events or CREATED, prefix, suffix)


# --- names and filters ----------------------------------------------------------------


def test_an_id_is_always_the_same_and_only_its_own() -> None:
    assert own_id("my-source", KeyFilter("photos/")) == "3gsync-7a65cd608dd2d426dfc03c26"
    cases = itertools.product(("b", "c"), ("", "p", "p/"), ("", "p", ".jpg"))
    ids = [own_id(bucket, KeyFilter(prefix, suffix)) for bucket, prefix, suffix in cases]
    assert len(set(ids)) == len(ids)
    assert all(len(each) <= 255 and each.startswith("3gsync-") for each in ids)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("photos/2026-01_a.b", "photos/2026-01_a.b"),
        ("y=1/", "y%3D1/"),
        ("a b", "a+b"),
        ("a+b", "a%2Bb"),
        ("f(1)!'~", "f%281%29%21%27%7E"),
        ("é", "%C3%A9"),
        ("100%", "100%25"),
    ],
)
def test_a_filter_is_encoded_as_events_show_keys(key: str, value: str) -> None:
    assert filter_text(key, encoded=True) == value
    assert filter_text(key, encoded=False) == key


@given(st.text(), st.text())
def test_encoding_keeps_what_begins_with_what(head: str, tail: str) -> None:
    whole = filter_text(head + tail, encoded=True)
    assert whole.startswith(filter_text(head, encoded=True))
    assert whole.endswith(filter_text(tail, encoded=True))
    assert unquote_plus(whole) == head + tail


def test_a_filter_that_is_too_long_is_refused() -> None:
    ours(KeyFilter("a" * 1024))
    with pytest.raises(ConfigError, match="1025 characters"):
        ours(KeyFilter("a" * 1025))
    with pytest.raises(ConfigError, match="2046 characters"):
        ours(KeyFilter("", "é" * 341))


def test_wildcards_are_no_part_of_a_filter() -> None:
    assert "'photos/'" in key_fault("photos/*")
    assert key_fault("photos/?[a]") == ""


# --- merging --------------------------------------------------------------------------


def test_others_stay_as_they_are() -> None:
    plan = plan_add("b", OTHERS, ours(KeyFilter("photos/"), KeyFilter("docs/", ".pdf")))
    assert [t.prefix for t in plan.added] == ["photos/", "docs/"]
    assert plan.after["QueueConfigurations"][0] is OTHERS["QueueConfigurations"][0]
    for name in ("TopicConfigurations", "LambdaFunctionConfigurations", "EventBridgeConfiguration"):
        assert plan.after[name] is OTHERS[name]
    assert {t.id for t in plan.others} == {"t", "theirs", "3gsync-of-a-function"}
    assert plan.after["QueueConfigurations"][2]["Filter"]["Key"]["FilterRules"] == [
        {"Name": "prefix", "Value": "docs/"},
        {"Name": "suffix", "Value": ".pdf"},
    ]


def test_all_keys_are_a_configuration_without_a_filter() -> None:
    plan = plan_add("b", {}, ours(KeyFilter()))
    (entry,) = plan.after["QueueConfigurations"]
    assert entry.keys() == {"Id", "QueueArn", "Events"}


def test_what_is_there_already_is_no_change() -> None:
    first = plan_add("b", OTHERS, ours(KeyFilter("photos/")))
    again = plan_add("b", first.after, ours(KeyFilter("photos/")))
    assert again.changes == 0
    assert again.after == first.after


def test_the_same_keys_with_other_events_or_another_queue_are_changed_in_place() -> None:
    first = plan_add("b", OTHERS, ours(KeyFilter("photos/"), KeyFilter("docs/")))
    plan = plan_add("b", first.after, ours(KeyFilter("photos/"), events=CREATED + REMOVED))
    assert [(old.events, new.events) for old, new in plan.changed] == [(CREATED, CREATED + REMOVED)]
    assert (plan.added, plan.removed) == ((), ())
    assert len(triggers_of(plan.after)) == len(triggers_of(first.after))
    elsewhere = wanted("b", [KeyFilter("docs/")], queue_arn=ARN + "2", events=CREATED, encoded=True)
    assert [new.target for _, new in plan_add("b", plan.after, elsewhere).changed] == [ARN + "2"]


def test_replace_takes_all_our_own_away_and_nobody_else_s() -> None:
    first = plan_add("b", OTHERS, ours(KeyFilter("a/"), KeyFilter("photos/")))
    plan = plan_add("b", first.after, ours(KeyFilter("a/"), KeyFilter("p")), replace=True)
    assert [t.prefix for t in plan.removed] == ["photos/"]
    assert [t.prefix for t in plan.added] == ["p"]
    assert {t.id for t in plan.others} <= {t.id for t in triggers_of(plan.after)}
    assert {t.prefix for t in triggers_of(plan.after) if t.mine} == {"a/", "p"}


def test_remove_takes_only_our_own() -> None:
    first = plan_add("b", OTHERS, ours(KeyFilter("photos/")))
    plan = plan_remove("b", first.after, lambda _: True)
    assert same(plan.after, OTHERS)
    assert [t.prefix for t in plan.removed] == ["photos/"]
    alone = plan_add("b", {}, ours(KeyFilter("photos/")))
    assert plan_remove("b", alone.after, lambda _: True).after == {}


def test_an_id_like_ours_of_another_kind_is_not_ours() -> None:
    assert plan_remove("b", OTHERS, lambda _: True).changes == 0


# --- what S3 refuses ------------------------------------------------------------------

TEXT = st.text("ab/", max_size=3)
EVENTS = st.lists(
    st.sampled_from(
        [
            "s3:ObjectCreated:*",
            "s3:ObjectCreated:Put",
            "s3:ObjectCreated:Post",
            "s3:ObjectRemoved:*",
            "s3:ObjectRemoved:Delete",
            "s3:LifecycleExpiration:*",
        ]
    ),
    min_size=1,
    max_size=2,
)


FACTS = st.tuples(EVENTS, TEXT, TEXT)


@given(FACTS, FACTS)
def test_overlaps_are_those_of_s3(
    one: tuple[list[str], str, str], other: tuple[list[str], str, str]
) -> None:
    first, second = (trigger(prefix, end, *events) for events, prefix, end in (one, other))
    assert overlap(first, second) is overlap(second, first) is clash(one, other)


@given(TEXT, TEXT)
def test_two_prefixes_overlap_where_some_key_begins_with_both(one: str, other: str) -> None:
    keys = ("".join(key) for key in itertools.product("ab/", repeat=3))
    some = any(key.startswith(one) and key.startswith(other) for key in keys)
    assert overlap(trigger(one), trigger(other)) is some
    assert overlap(trigger("", one[::-1]), trigger("", other[::-1])) is some


@pytest.mark.parametrize(
    ("one", "other", "refused"),
    [  # the examples of the user guide
        (trigger("", "", "s3:ObjectCreated:*"), trigger("images", "", "s3:ObjectCreated:*"), True),
        (trigger("", "jpg", "s3:ObjectCreated:*"), trigger("", "pg", "s3:ObjectCreated:Put"), True),
        (trigger("images", "jpg"), trigger("", "jpg", "s3:ObjectCreated:Put"), True),
        (trigger("images", ".jpg"), trigger("images", ".png"), False),
        (trigger("", ".jpg"), trigger("", ".png"), False),
        (trigger("images/"), trigger("logs/"), False),
        (trigger("image/", "", "s3:ObjectCreated:Put"), trigger("image/", "", *REMOVED), False),
    ],
)
def test_the_documented_examples(one: Trigger, other: Trigger, *, refused: bool) -> None:
    assert overlap(one, other) is refused


def test_an_overlap_with_others_is_refused_with_the_mend() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_add("b", OTHERS, ours(KeyFilter()))
    (fault,) = caught.value.faults
    assert "all keys overlaps prefix 'logs/' of theirs for s3:ObjectCreated:*" in fault
    assert "arn:aws:sqs:eu-west-1:1:theirs and is not ours: narrow" in fault


def test_an_overlap_with_our_own_names_replace() -> None:
    first = plan_add("b", {}, ours(KeyFilter("a/")))
    with pytest.raises(ConfigError, match=r"3GSync's own: .* --replace"):
        plan_add("b", first.after, ours(KeyFilter("a/b/")))
    assert plan_add("b", first.after, ours(KeyFilter("a/b/")), replace=True).changes == 2


def test_an_overlap_within_the_wanted_is_refused() -> None:
    with pytest.raises(ConfigError, match="leave one of the two out"):
        plan_add("b", {}, ours(KeyFilter("a/"), KeyFilter("a/b/")))
    plan_add("b", {}, ours(KeyFilter("a/", ".x"), KeyFilter("a/b/", ".y")))


def test_many_faults_are_told_in_few_lines() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_add("b", {}, ours(*(KeyFilter("a" * n) for n in range(1, 9))))
    assert len(caught.value.faults) == 11
    assert caught.value.faults[-1] == "and 18 more like these"


def test_a_hundred_and_no_more() -> None:
    filters = [KeyFilter(f"{n:03}/") for n in range(98)]
    plan = plan_add("b", OTHERS, ours(*filters[:97]))
    assert len(triggers_of(plan.after)) == 100
    with pytest.raises(ConfigError, match="101 configurations, 3 of them not ours; S3 takes 100"):
        plan_add("b", OTHERS, ours(*filters))


# --- comparing ------------------------------------------------------------------------


def test_order_and_capitals_make_no_difference() -> None:
    plan = plan_add("b", OTHERS, ours(KeyFilter("a/", ".x"), events=CREATED + REMOVED))
    told = dict(plan.after)
    told["QueueConfigurations"] = [
        {
            **entry,
            "Events": entry["Events"][::-1],
            "Filter": {
                "Key": {
                    "FilterRules": [
                        {"Name": r["Name"].capitalize(), "Value": r["Value"]}
                        for r in reversed(entry["Filter"]["Key"]["FilterRules"])
                    ]
                }
            },
        }
        for entry in reversed(plan.after["QueueConfigurations"])
    ]
    assert same(told, plan.after)
    assert differences(told, plan.after) == []


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_what_is_lost_is_told(name: str) -> None:
    less = {key: value for key, value in OTHERS.items() if key != name}
    assert not same(OTHERS, less)
    assert [line[:8] for line in differences(OTHERS, less)] == ["missing:"]
    assert [line[:11] for line in differences(less, OTHERS)] == ["unexpected:"]
