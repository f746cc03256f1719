from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.memory import MEMORY_DIALECT
from sync.engine.planner import fits, plan, usable_parts
from sync.errors import ObjectTooLarge
from sync.model import GIB, MIB, TIB


def cut(size: int, *, threshold: int = 50 * MIB, chunk: int = 10 * MIB) -> tuple[int, int]:
    made = plan(size, threshold=threshold, chunk=chunk, dialect=MEMORY_DIALECT)
    return made.part_size, made.part_count


def test_the_threshold_itself_is_still_one_put() -> None:
    assert cut(50 * MIB) == (0, 1)
    assert cut(50 * MIB + 1) == (10 * MIB, 6)


def test_nothing_is_one_put_of_nothing() -> None:
    assert cut(0) == (0, 1)


def test_chunk_grows_where_ten_thousand_parts_would_not_do() -> None:
    part_size, count = cut(500 * GIB)
    assert part_size > 50 * MIB
    assert count <= usable_parts(MEMORY_DIALECT)


def test_a_threshold_above_one_puts_limit_does_not_make_a_put_too_large() -> None:
    assert cut(6 * GIB, threshold=100 * GIB)[0] == 10 * MIB


def test_too_large_is_refused_with_the_limit() -> None:
    with pytest.raises(ObjectTooLarge, match="at most"):
        cut(5 * TIB + 1)


def test_what_parts_cannot_hold_is_refused() -> None:
    small = replace(MEMORY_DIALECT, max_part=6 * MIB, max_parts=10)
    with pytest.raises(ObjectTooLarge, match=str(54 * MIB)):
        plan(GIB, threshold=MIB, chunk=5 * MIB, dialect=small)


@given(st.integers(1, 5 * TIB), st.integers(5 * MIB, 5 * GIB), st.integers(0, 5 * GIB))
def test_parts_cover_the_object_exactly(size: int, chunk: int, threshold: int) -> None:
    made = plan(size, threshold=threshold, chunk=chunk, dialect=MEMORY_DIALECT)
    if not made.multipart:
        assert size <= max(threshold, 0)
        return
    assert fits(size, made.part_size, MEMORY_DIALECT)
    first, last = made.part(1), made.part(made.part_count)
    assert first.offset == 0
    assert last.offset + last.length == size
    assert 0 < last.length <= made.part_size
    if made.part_count > 1:
        assert made.part(2).offset == first.offset + first.length


@given(st.integers(1, 300), st.integers(1, 40))
def test_parts_lie_end_to_end(size: int, part_size: int) -> None:
    from sync.model import TransferPlan

    end = 0
    for number, spec in enumerate(TransferPlan(size, part_size).parts(), start=1):
        assert (spec.number, spec.offset) == (number, end)
        end += spec.length
    assert end == size
