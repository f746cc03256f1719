"""One text, several queues."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.config.queue_names import queue_names

_NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("jobs", ("jobs",)),
        (" a , b,c ", ("a", "b", "c")),
        ("s3-migration-{01..05}", tuple(f"s3-migration-0{n}" for n in range(1, 6))),
        ("q{8..11}", ("q8", "q9", "q10", "q11")),
        ("q{08..11}", ("q08", "q09", "q10", "q11")),
        ("q{8..011}x", ("q008x", "q009x", "q010x", "q011x")),
        ("q{0..2}", ("q0", "q1", "q2")),
        ("q{7..7},dead", ("q7", "dead")),
        ("q{1..2}.fifo", ("q1.fifo", "q2.fifo")),
        ("q" * 75 + ".fifo", ("q" * 75 + ".fifo",)),
    ],
)
def test_names(text: str, names: tuple[str, ...]) -> None:
    assert queue_names(text) == names


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no name"),
        (" ", "no name"),
        ("a,", "no name"),
        ("a,,b", "no name"),
        ("a b", "a b: a queue's name"),
        ("a.b", "a.b: a queue's name"),
        (".fifo", "a queue's name"),
        ("q" * 81, "a queue's name"),
        ("q" * 76 + ".fifo", "a queue's name"),
        ("jobs\nmore", "a queue's name"),
        ("q{05..01}", "{05..01} runs backwards"),
        ("q{1..2}{1..2}", "a queue's name"),
        ("q{a..c}", "a queue's name"),
        ("q{a,b}", "a queue's name"),
        ("q{1..10..2}", "a queue's name"),
        ("q{-1..2}", "a queue's name"),
        ("q{\u0660..\u0663}", "a queue's name"),
        ("q{1..1001}", "more than 1000"),
        ("a{1..600},b{1..600}", "more than 1000"),
        ("q{1..999999999}", "more than 1000"),
        ("a,b,a", "a is named twice"),
        ("q{1..3},q2", "q2 is named twice"),
        ("https://sqs.eu-west-1.amazonaws.com/1/q", "a queue's name"),
    ],
)
def test_refused(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=re.escape(part)):
        queue_names(text)


@given(st.lists(_NAMES, min_size=1, max_size=5, unique=True))
def test_a_list_is_itself(names: list[str]) -> None:
    assert queue_names(",".join(names)) == tuple(names)


@given(st.integers(0, 5000), st.integers(0, 200), st.integers(1, 6))
def test_a_range_counts_up(low: int, more: int, width: int) -> None:
    names = queue_names(f"q-{{{low:0{width}}..{low + more:0{width}}}}")
    assert [int(name[2:]) for name in names] == list(range(low, low + more + 1))
    assert all(len(name) >= width + 2 for name in names)
