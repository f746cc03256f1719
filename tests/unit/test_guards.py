"""Every guard of the fault bench is still where it is said to be, and its removal is noticed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from faults.mutants import GUARDS
from faults.mutants.guards import Guard
from faults.mutants.removal import ROOT, GuardMoved, remove, without

BY_NAME = {guard.name: guard for guard in GUARDS}


def test_no_name_stands_for_two_guards() -> None:
    assert len(BY_NAME) == len(GUARDS)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_guard_is_there_once_and_what_is_left_without_it_is_python(name: str) -> None:
    guard = BY_NAME[name]
    text = (ROOT / guard.file).read_text()
    assert ast.dump(ast.parse(without(guard, text))) != ast.dump(ast.parse(text))
    assert all((ROOT / test).exists() for test in guard.tests)


def test_a_guard_that_moved_is_told() -> None:
    guard = Guard("gone", 1, "sync/errors.py", "no such code", "", ())
    with pytest.raises(GuardMoved, match="0 times in"):
        without(guard, Path(ROOT / guard.file).read_text())


def test_its_removal_is_noticed() -> None:
    assert "test_versioning" in remove(BY_NAME["pin: If-Match on ranged reads"]).seen_by
