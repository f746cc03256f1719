"""The index against the plain meaning: every pathspec pattern asked in turn, and fnmatch."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathspec import PathSpec

from sync.ignore import IgnoreList, KeyPattern

# A small alphabet, so that lines and keys meet often.
_PIECES = ["a", "b", "ab", "/", "*", "**", "?", "[ab]", "[!a]", "[b-a]", "[", "]", "\\", " ", "!"]
_LINES = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=7).map("".join),
    st.lists(st.sampled_from(["a", "b", "/"]), max_size=6).map("".join),
    st.text(max_size=12).filter(lambda line: "\n" not in line),
)
_SIGNED = st.tuples(st.sampled_from(["", "", "!", "#", "\\!"]), _LINES).map("".join)
_KEYS = st.one_of(
    st.text(alphabet="ab/", min_size=1, max_size=12),
    st.text(alphabet="ab/ []!\\*?\n", min_size=1, max_size=12),
    st.text(min_size=1, max_size=8),
)


def naive(lines: list[str], bucket: str, key: str) -> bool:
    """Ask every pattern in the order of the file; the last that matches decides."""
    ignored = False
    for pattern in [KeyPattern(line) for line in lines]:
        if pattern.match_file(f"{bucket}/{key}") or pattern.match_file(key):
            ignored = bool(pattern.include)
    return ignored


@settings(max_examples=500, deadline=None)
@given(st.lists(_SIGNED, max_size=10), st.sampled_from(["a", "ab", "b"]), _KEYS)
def test_the_index_equals_asking_every_line(lines: list[str], bucket: str, key: str) -> None:
    assert IgnoreList.parse("\n".join(lines)).matches(bucket, key) is naive(lines, bucket, key)


@settings(max_examples=150, deadline=None)
@given(st.lists(_SIGNED, min_size=30, max_size=80), st.sampled_from(["a", "ab", "b"]), _KEYS)
def test_crowded_lists_too(lines: list[str], bucket: str, key: str) -> None:
    assert IgnoreList.parse("\n".join(lines)).matches(bucket, key) is naive(lines, bucket, key)


@settings(max_examples=300, deadline=None)
@given(st.lists(_SIGNED, max_size=8), st.text(alphabet="ab/", min_size=1, max_size=10))
def test_pathspec_itself_agrees_on_bucket_and_key(lines: list[str], key: str) -> None:
    """One text, because pathspec strips the slash a bare key may begin with."""
    with_bucket_only = [line for line in lines if not KeyPattern(line).match_file(key)]
    spec = PathSpec.from_lines(KeyPattern, with_bucket_only, backend="simple")
    expected = bool(spec.check_file(f"b/{key}", separators=()).include)
    assert IgnoreList.parse("\n".join(with_bucket_only)).matches("b", key) is expected


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "?", "[ab]", "[!a]", "[a-b]", "["]), min_size=1)
    .map("".join)
    .filter(lambda glob: fnmatch.translate(glob) != "" and set(glob) & {"*", "?"}),
    st.text(alphabet="ab/[", max_size=14),
)
def test_wildcard_lines_mean_what_fnmatch_means(glob: str, text: str) -> None:
    assert bool(KeyPattern(glob).match_file(text)) is fnmatch.fnmatchcase(text, glob)


@settings(max_examples=500, deadline=None)
@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_no_text_raises(text: str, bucket: str, key: str) -> None:
    IgnoreList.parse(text).match(bucket, key)


def _escaped(key: str) -> str:
    return "".join(f"\\{char}" if char in "\\*?[]!# \t" else char for char in key)


@settings(max_examples=500, deadline=None)
@given(_KEYS.filter(lambda key: "\n" not in key and not key.endswith("\r")))
def test_every_key_can_be_written_with_backslashes(key: str) -> None:
    assert IgnoreList.parse(_escaped(key)).matches("bucket", key)


def test_patterns_take_text_only() -> None:
    with pytest.raises(TypeError, match="text"):
        KeyPattern(b"a")
