"""What single lines and small lists mean."""

from __future__ import annotations

import time

import pytest

from sync.ignore import IgnoreList
from sync.ignore.patterns import KeyPattern

DOCUMENTED = """\
your_src_bucket/your_exact_key.mp4
your_src_bucket/your_exact_key
your_src_bucket/your_
*.jpg
*/readme.md
"""


@pytest.mark.parametrize(
    ("line", "bucket", "key", "ignored"),
    [
        ("your_src_bucket/your_exact_key.mp4", "your_src_bucket", "your_exact_key.mp4", True),
        ("your_src_bucket/your_exact_key.mp4", "your_src_bucket", "your_exact_key", False),
        ("your_src_bucket/your_exact_key.mp4", "other", "your_exact_key.mp4", False),
        ("your_src_bucket/your_exact_key", "your_src_bucket", "your_exact_key", True),
        ("your_src_bucket/your_", "your_src_bucket", "your_folder/deep/a.bin", True),
        ("your_src_bucket/your_", "your_src_bucket", "their_folder/a.bin", False),
        ("*.jpg", "any", "a/b/c.jpg", True),
        ("*.jpg", "any", "a/b/c.jpg.txt", False),
        ("*.jpg", "any", "a/b/c.JPG", False),
        ("*/readme.md", "any", "readme.md", True),
        ("*/readme.md", "any", "a/b/readme.md", True),
        ("*/readme.md", "any", "a/b/xreadme.md", False),
    ],
)
def test_the_documented_lines_work_as_documented(
    line: str, bucket: str, key: str, *, ignored: bool
) -> None:
    assert IgnoreList.parse(line).matches(bucket, key) is ignored
    if ignored:
        assert IgnoreList.parse(DOCUMENTED).matches(bucket, key)


@pytest.mark.parametrize(
    ("line", "key", "ignored"),
    [
        ("logs/", "logs/2024/a", True),  # bare key, as old files have it
        ("b/logs/", "logs/2024/a", True),
        ("b", "anything", True),  # a prefix of the bucket's name as well
        ("*", "anything", True),
        ("**", "anything", True),
        ("a/**/z", "a/b/c/z", True),
        ("a/*/z", "a/b/c/z", True),
        ("a?c", "a/c", True),
        ("a?c", "ac", False),
        ("a?c", "abcd", False),
        ("[ab]x", "bx", True),
        ("[!ab]x", "bx", False),
        ("[!ab]x", "cx", True),
        ("[a-c]x", "bx", True),
        ("[c-a]x", "bx", False),
        ("[!c-a]x", "bx", True),
        ("[]]x", "]x", True),
        ("[!]]x", "]x", False),
        ("[a-]x", "-x", True),
        ("[\\]x", "\\x", True),  # a backslash in a set is a backslash
        ("[^a]x", "^x", True),
        ("[&&~~||--]x", "&x", True),
        ("photo[1.jpg", "photo[1.jpg", True),
        ("[]", "[]", True),
        ("[!]", "[!]", True),
        ("a]b", "a]b", True),
        ("\\*.jpg", "*.jpg", True),
        ("\\*.jpg", "a.jpg", False),
        ("\\#note", "#note", True),
        ("\\!note", "!note", True),
        ("!\\#note", "#note", False),
        ("dir\\file", "dir\\file", True),
        ("dir\\\\file", "dir\\file", True),
        ("end\\", "end\\", True),
        ("end\\  ", "end ", True),
        ("end\\  ", "end", False),
        ("end  ", "end", True),
        ("end\\\\ ", "end\\", True),
        (" lead", " lead", True),
        (" lead", "lead", False),
        ("a//b", "a//b", True),
        ("a//b", "a/b", False),
        ("/a", "/a", True),
        ("./a", "a", False),
        ("line\u2028sep", "line\u2028sep", True),
        ("new*line", "new\nline", True),
        ("中文*", "中文/文件", True),
        ("*😀", "a😀", True),
    ],
)
def test_a_line_alone(line: str, key: str, *, ignored: bool) -> None:
    assert IgnoreList.parse(line).matches("b", key) is ignored


@pytest.mark.parametrize("text", ["", "\n\n", "  \t\n", "# *\n", "\ufeff", "!\n! \n", "\r\n\r\n"])
def test_nothing_written_ignores_nothing(text: str) -> None:
    nothing = IgnoreList.parse(text)
    assert len(nothing) == 0
    assert nothing.match("b", "k") is None


def test_bom_and_carriage_returns_are_no_part_of_a_line() -> None:
    windows = IgnoreList.parse("\ufeffb/first\r\nsecond  \r\n")
    assert windows.match("b", "first") == "b/first"
    assert windows.match("b", "second") == "second"


def test_the_last_line_that_matches_decides() -> None:
    rules = IgnoreList.parse("*.log\n!b/keep/\nb/keep/secret*\n!*.md\n")
    assert rules.match("b", "a.log") == "*.log"
    assert rules.match("b", "keep/a.log") is None
    assert rules.match("b", "keep/secret.log") == "b/keep/secret*"
    assert rules.match("b", "keep/secret.md") is None


def test_a_bare_key_match_late_beats_a_full_match_early() -> None:
    assert IgnoreList.parse("b/logs/\n!logs/x").match("b", "logs/x") is None
    assert IgnoreList.parse("!logs/x\nb/logs/").match("b", "logs/x") == "b/logs/"


def test_repeated_lines_decide_by_their_last_place() -> None:
    assert IgnoreList.parse("k\n!k\nk").matches("b", "k")
    assert not IgnoreList.parse("!k\nk\n!k").matches("b", "k")


@pytest.mark.parametrize(
    "line",
    ["*a" * 30 + "b", "*a?" * 20 + "*b", "[ab]*" * 25 + "c", "*" + "?" * 300 + "b", "*a*" * 200],
)
def test_no_line_takes_long_on_a_hostile_key(line: str) -> None:
    rules = IgnoreList.parse(line)
    before = time.process_time()
    assert not rules.matches("bucket", "a" * 170)
    assert not rules.matches("bucket", "a" * 199 + "d")
    # A backtracking matcher needs longer than the age of the universe here.
    assert time.process_time() - before < 5


def test_many_lines_that_share_both_ends_are_told_apart_by_their_middles() -> None:
    lines = [f"bucket/*/day-{n:06d}/*.bin" for n in range(3000)]
    rules = IgnoreList.parse("\n".join(lines))
    assert rules.match("bucket", "x/day-001234/y.bin") == lines[1234]
    tested = [entry for group in rules._groups("bucket/x/day-001234/y.bin") for entry in group]
    assert len(tested) < 50


def test_a_large_list_is_not_walked_for_a_key() -> None:
    lines = [f"bucket/{n:05d}/" for n in range(20_000)]
    lines += [f"*-{n:05d}.dat" for n in range(20_000)]
    lines += [f"bucket/{n:05d}?/*.x" for n in range(20_000)]
    rules = IgnoreList.parse("\n".join(lines))
    tested = [entry for group in rules._groups("bucket/123456/a-00042.dat") for entry in group]
    assert len(tested) < 10
    assert rules.match("bucket", "x/a-00042.dat") == "*-00042.dat"
    assert rules.match("bucket", "12345/a") == "bucket/12345/"


def test_the_shipped_list_ignores_nothing(pytestconfig: pytest.Config) -> None:
    shipped = (pytestconfig.rootpath / "s3_migration_ignore_list.txt").read_text("utf-8")
    assert len(IgnoreList.parse(shipped)) == 0


def test_a_line_is_tested_once_for_a_text_however_often_its_anchor_is_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tested: list[str] = []

    def count(_self: KeyPattern, text: str) -> None:
        tested.append(text)

    monkeypatch.setattr(KeyPattern, "match_file", count)
    assert not IgnoreList.parse("*aaaaaaaaab?*").matches("b", "a" * 1000)
    assert sorted(tested) == ["a" * 1000, "b/" + "a" * 1000]
