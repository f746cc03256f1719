"""Rows of all the software that ever wrote the table, as people are shown them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.ledger_rows import pack_parts
from sync.adapters.ledger_view import State, all_attributes, read_entry

NOON = 1_600_000_000  # Sun Sep 13 12:26:40 2020


def s(value: str) -> dict[str, str]:
    return {"S": value}


def n(value: float) -> dict[str, str]:
    return {"N": str(value)}


def ss(*values: str) -> dict[str, list[str]]:
    return {"SS": list(values)}


NEW: dict[str, Any] = {
    "Key": s("b/k"),
    "desBucket": s("d"),
    "desKey": s("k"),
    "Size": n(5),
    "tryTimes": n(1),
}
OLD: dict[str, Any] = {"Key": s("b/k"), "Size": n(5), "tryTimes": n(1), "instanceID": ss("i-1")}


@pytest.mark.parametrize(
    ("item", "state"),
    [
        ({**NEW, "outcome": s("copied"), "lastTimeProgress": n(100)}, State.DONE),
        ({**NEW, "outcome": s("skipped")}, State.DONE),
        ({**NEW, "outcome": s("deleted")}, State.DONE),
        ({**NEW, "outcome": s("gone"), "jobStatus": ss("QUIT")}, State.GONE),
        ({**NEW, "outcome": s("failed"), "uploadId": s("u"), "jobStatus": ss("ERR")}, State.FAILED),
        ({**NEW, "outcome": s("dead-lettered"), "jobStatus": ss("QUIT")}, State.FAILED),
        # begun once more after it was done before: the sets add up, the outcome is taken out
        (
            {**NEW, "uploadId": s("u"), "jobStatus": ss("DONE"), "lastTimeProgress": n(40)},
            State.RUNNING,
        ),
        # the original
        ({**OLD, "lastTimeProgress": n(100), "jobStatus": ss("DONE")}, State.DONE),
        ({**OLD, "lastTimeProgress": n(30), "firstTime": n(NOON)}, State.RUNNING),
        (
            {**OLD, "jobStatus": ss("TIMEOUT"), "firstTime": n(NOON), "endTime": n(NOON + 9)},
            State.FAILED,
        ),
        # begun anew after it had failed
        (
            {
                **OLD,
                "jobStatus": ss("ERR"),
                "endTime": n(NOON - 9),
                "startTime_f": ss("Sun Sep 13 12:26:40 2020", "Sat Sep 12 12:26:40 2020"),
            },
            State.RUNNING,
        ),
        # 0.96
        (
            {
                **OLD,
                "jobStatus": ss("TIMEOUT_or_MaxRetry"),
                "thisRoundStart": n(NOON),
                "endTime": n(NOON + 60),
            },
            State.FAILED,
        ),
        ({**OLD, "thisRoundStart": n(NOON), "lastTimeProgress": n(3)}, State.RUNNING),
        ({"Key": s("b/k"), "Size": n(5)}, State.WAITING),
        ({}, State.WAITING),
    ],
)
def test_states(item: dict[str, Any], state: State) -> None:
    assert read_entry(item).state is state


def test_times_of_version_0_96_are_read() -> None:
    entry = read_entry(
        {
            **OLD,
            "firstTime_f": s("Sun Sep 13 12:26:40 2020"),
            "thisRoundStart_f": s("Sun Sep 13 13:26:40 2020"),
            "endTime_f": s("Sun Sep 13 14:26:40 2020"),
        }
    )
    assert entry.row.first_time == NOON
    assert entry.started == NOON + 3600
    assert entry.row.end_time == NOON + 7200


def test_numbers_come_before_texts_and_the_latest_start_counts() -> None:
    entry = read_entry(
        {
            **NEW,
            "firstTime": n(NOON),
            "startTime_f": ss("Sun Sep 13 12:26:40 2020", "Sun Sep 13 12:36:40 2020"),
            "endTime": n(NOON + 900),
            "endTime_f": s("Sun Sep 13 20:00:00 2020"),
        }
    )
    assert (entry.row.first_time, entry.started) == (NOON, NOON + 600)
    assert entry.row.end_time == NOON + 900


@given(st.integers(0, 4_000_000_000))
def test_texts_are_read_as_they_were_written(at: int) -> None:
    entry = read_entry({"Key": s("b/k"), "startTime_f": ss(time.asctime(time.gmtime(at)))})
    assert entry.started == at


@pytest.mark.parametrize(
    "text", ["", "Sun Sep 99 99:99:99 0000", "Sun Foo 13 12:26:40 2020", "2020-09-13T12:26:40Z"]
)
def test_other_texts_are_no_times(text: str) -> None:
    assert read_entry({"Key": s("b/k"), "startTime_f": ss(text)}).started == 0.0


def test_every_attribute_is_shown_plainly() -> None:
    import base64

    packed = base64.b64encode(pack_parts({1: 5, 3: 6})).decode()
    shown = all_attributes(
        {
            "Key": s("b/k"),
            "Size": n(12),
            "totalSpentTime": n(1.25),
            "jobStatus": ss("ERR", "DONE"),
            "versioned": {"BOOL": True},
            "partCRC32C": {"B": packed},
            "odd": {"N": "x"},
        }
    )
    assert shown == {
        "Key": "b/k",
        "Size": 12,
        "totalSpentTime": 1.25,
        "jobStatus": ["DONE", "ERR"],
        "versioned": True,
        "partCRC32C": "2 verified parts",
        "odd": "x",
    }
    assert all_attributes({"partCRC32C": {"B": "AAAA"}})["partCRC32C"] == "unreadable"


_NAMES = st.sampled_from(
    [*NEW, "firstTime", "firstTime_f", "startTime_f", "thisRoundStart", "jobStatus", "endTime"]
)
_VALUES = st.one_of(
    st.builds(s, st.text(max_size=30)),
    st.builds(lambda text: {"N": text}, st.text(max_size=8)),
    st.builds(lambda texts: {"SS": texts}, st.lists(st.text(max_size=30), max_size=3)),
    st.just({"BOOL": True}),
    st.just({"N": "Infinity"}),
    st.just({"N": "1e400"}),
)


@given(st.dictionaries(_NAMES, _VALUES))
def test_no_row_is_too_odd(item: dict[str, Any]) -> None:
    assert read_entry(item).state in State
    all_attributes(item)
