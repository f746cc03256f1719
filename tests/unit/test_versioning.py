"""The truth table of the three switches."""

from __future__ import annotations

import pytest

from sync.engine.versioning import Pin, VersionPolicy
from sync.model import Identity, ObjectRef

PLAIN, HINTED = ObjectRef("b", "k"), ObjectRef("b", "k", "v1")
NOW = Identity("etag", 5, "v2")


@pytest.mark.parametrize(
    ("update", "get", "hint", "first"),
    [
        (False, False, HINTED, PLAIN),
        (True, False, HINTED, PLAIN),
        (True, True, HINTED, PLAIN),
        (False, True, HINTED, HINTED),
        (False, True, PLAIN, PLAIN),
    ],
)
def test_what_is_read_first(update: bool, get: bool, hint: ObjectRef, first: ObjectRef) -> None:
    assert VersionPolicy(read_by_version=get, update_version=update).first_read(hint) == first


@pytest.mark.parametrize("update", [False, True])
def test_further_reads_are_pinned(update: bool) -> None:
    by_etag = VersionPolicy(read_by_version=False, update_version=update)
    assert by_etag.pin(HINTED, NOW) == Pin(PLAIN, if_match="etag")
    by_version = VersionPolicy(read_by_version=True, update_version=update)
    assert by_version.pin(HINTED, NOW) == Pin(ObjectRef("b", "k", "v2"))


@pytest.mark.parametrize("version", [None, "", "null"])
def test_what_is_no_version_of_its_own_is_pinned_by_etag(version: str | None) -> None:
    policy = VersionPolicy(read_by_version=True)
    assert policy.pin(PLAIN, Identity("etag", 5, version)) == Pin(PLAIN, if_match="etag")
