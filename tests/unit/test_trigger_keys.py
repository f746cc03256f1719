"""prefix_list.txt and the options that say which keys."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from sync.adapters.notification_plan import KeyFilter
from sync.commands.trigger_keys import (
    add_key_arguments,
    add_list_arguments,
    filters_by_bucket,
    listed_buckets,
    parse_list,
)
from sync.errors import ConfigError


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("bucket", nargs="*")
    add_key_arguments(parser)
    add_list_arguments(parser)
    return parser.parse_args(words)


def chosen(*words: str) -> dict[str, list[KeyFilter]]:
    return filters_by_bucket(parsed(*words))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "prefix_list.txt"


def test_a_list() -> None:
    text = "# remark\n\n   \n\t\n photos/ \r\nreports/ 2026/\t.csv\n*\t.gz\n[docs-bucket]\n*\n"
    found = parse_list(text)
    assert found.common == [
        KeyFilter("photos/"),
        KeyFilter("reports/ 2026/", ".csv"),
        KeyFilter("", ".gz"),
    ]
    assert found.of("docs-bucket") == [*found.common, KeyFilter()]
    assert found.of("another") == found.common


@pytest.mark.parametrize("text", ["", "\n\n", "# photos/\n", "  \n\t\n", "[docs-bucket]\n\n"])
def test_a_list_with_nothing_in_it_is_an_error_and_not_all_keys(text: str) -> None:
    with pytest.raises(ConfigError, match="has no prefix in it"):
        parse_list(text)


def test_every_fault_of_a_list_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_list("photos/*\n\t.jpg\na\tb\tc\nok/\n*\t*.jpg\n", "list")
    assert [fault.split(" ")[0] for fault in caught.value.faults] == [
        "list:1:",
        "list:2:",
        "list:3:",
        "list:5:",
    ]
    assert "no wildcards" in caught.value.faults[0]
    assert "write * for any prefix" in caught.value.faults[1]


def test_options_are_every_prefix_with_every_suffix() -> None:
    found = chosen("one", "two", "one", "--prefix", "a/", "--prefix", "b/", "--suffix", ".x")
    pairs = [KeyFilter("a/", ".x"), KeyFilter("b/", ".x")]
    assert found == {"one": pairs, "two": pairs}
    assert chosen("one", "--suffix", ".x") == {"one": [KeyFilter("", ".x")]}
    assert chosen("one", "--all-keys") == chosen("one", "--prefix", "*") == {"one": [KeyFilter()]}


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("one", "--prefix", ""), "--prefix is empty: write --all-keys"),
        (("one", "--prefix", "a", "--suffix", ""), "--suffix is empty"),
        (("one", "--prefix", "a*"), "no wildcards"),
        (("one", "--suffix", "*"), "no wildcards"),
        (("one", "--all-keys", "--prefix", "a"), "does not go with"),
        (("one", "--all-keys", "--prefix-list", "x"), "does not go with"),
        (("one",), "no keys chosen, and there is no prefix_list.txt"),
        (("--prefix", "a"), "no bucket"),
        (("s3://one/a/b", "--all-keys"), "write one --prefix a/b"),
        (("s3://one", "--all-keys"), "write one$"),
        (("a/b", "--all-keys"), "no bucket's name"),
        (("one", "--prefix-list", "none"), "none: cannot be read"),
    ],
)
def test_refused(here: Path, words: tuple[str, ...], part: str) -> None:
    with pytest.raises(ConfigError, match=part.replace("*", r"\*")):
        chosen(*words)


def test_the_list_of_the_working_folder_is_the_default(here: Path) -> None:
    here.write_bytes(b"\xef\xbb\xbfphotos/\r\n[docs-bucket]\r\ndocs/\r\n")
    assert chosen("one") == {"one": [KeyFilter("photos/")]}
    assert chosen() == {"docs-bucket": [KeyFilter("photos/"), KeyFilter("docs/")]}
    assert chosen("one", "--prefix", "a") == {"one": [KeyFilter("a")]}


def test_a_bucket_without_a_line_is_an_error(here: Path) -> None:
    here.write_text("[docs-bucket]\ndocs/\n")
    with pytest.raises(ConfigError, match="bucket one: the list has no line for it"):
        chosen("one")


def test_a_list_that_is_no_utf8(here: Path) -> None:
    here.write_bytes(b"caf\xe9/\n")
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        chosen("one")


def test_the_script_s_list_comes_after_all_choices(here: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside.txt"
    beside.write_text("[docs-bucket]\nbeside/\n")
    words = ("--default-prefix-list", str(beside))
    assert chosen(*words) == {"docs-bucket": [KeyFilter("beside/")]}
    assert chosen(*words, "one", "--prefix", "a") == {"one": [KeyFilter("a")]}
    assert listed_buckets(parsed(*words)) == ["docs-bucket"]
    assert listed_buckets(parsed(*words, "one")) == ["one"]
    with pytest.raises(ConfigError, match="no bucket"):
        listed_buckets(parsed())
