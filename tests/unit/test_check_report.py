"""What a check tells: in the terminal, as JSON lines, as a page; hostile keys in all of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.checking.findings import IN_PAGE, Entry, Findings
from sync.checking.lines import ReportFile
from sync.checking.options import CheckOptions
from sync.checking.page import page, write_page
from sync.checking.result import CheckResult, PairResult
from sync.checking.terminal import lines
from sync.checking.words import lasted
from sync.engine.comparing.closer_look import Depth, Reading
from sync.errors import ConfigError
from sync.model import BucketPair, ListedObject

PAIR = BucketPair("source-b", "", "dest-b", "to")
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "a\nb\x1b[31m\u2028\u202ered",
    "{{ 7*7 }}{% raw %}",
    "--><!--",
    "lone \udcff surrogate",
    "]]>&amp;&#60;",
)
VOID = {"meta", "input", "br", "img", "link"}


def entry(key: str, kind: str = "missing", size: int = 1, at: float = 1.7e9) -> Entry:
    listed = ListedObject(key, size, "etag", at)
    if kind == "extraneous":
        return Entry(PAIR, kind, key, None, listed)
    other = None if kind == "missing" else listed._replace(size=size + 1)
    return Entry(PAIR, kind, key, listed, other, f"detail of {key}")


def result(*entries: Entry, error: str = "", keep: int = IN_PAGE, **options: object) -> CheckResult:
    findings = Findings(keep=keep)
    for one in entries:
        findings.add(one)
    pair = PairResult(PAIR, error=error)
    pair.equal_by = Counter(size=3, ledger=2)
    pair.tally.source_objects = 5 + len(entries)
    how = CheckOptions(depth=Depth(checksum=True), **options)  # type: ignore[arg-type]
    return CheckResult(how, findings, [pair], begun=1.7e9, seconds=12.0)


class Strict(HTMLParser):
    """Every tag is closed in its order; gathers texts, scripts and what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: Counter[str] = Counter()
        self.cells: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.headers_without_scope = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "th" and "scope" not in dict(attrs):
            self.headers_without_scope += 1
        if tag == "td":
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data

    @classmethod
    def read(cls, text: str) -> Strict:
        parser = cls()
        parser.feed(text)
        parser.close()
        assert not parser.open
        return parser


# --- the page ------------------------------------------------------------------------------


def test_the_page_is_well_formed_and_loads_nothing() -> None:
    told = [entry(key, kind) for key in HOSTILE for kind in ("missing", "size", "extraneous")]
    parsed = Strict.read(page(result(*told, error="<b>failed</b>")))
    assert parsed.counts["script"] == parsed.counts["html"] == parsed.counts["h1"] == 1
    assert parsed.counts["img"] == parsed.counts["link"] == parsed.counts["b"] == 0
    names = {name for name, _ in parsed.attributes}
    assert not names & {"src", "href", "onerror", "onclick", "onload"}
    assert parsed.headers_without_scope == 0
    assert any("default-src 'none'" in value for _, value in parsed.attributes)
    objects = "".join(parsed.cells)
    assert "source-b/<script>alert(1)</script>" in objects
    assert "source-b/a\\nb\\x1b[31m\\u2028\\u202ered" in objects
    assert "source-b/{{ 7*7 }}" in objects


def test_what_the_operator_wrote_is_escaped_and_options_are_not_broken() -> None:
    text = page(result(entry("a", "unverified"), sample=0.5, seed="<img src=x>--read"))
    parsed = Strict.read(text)
    assert parsed.counts["img"] == 0
    assert "<code>--allow-unverified</code>" in text


@settings(max_examples=60, deadline=None)
@given(key=st.text(st.characters(), min_size=1, max_size=30))
def test_any_key_passes_through_the_page_and_the_terminal(key: str) -> None:
    told = result(entry(key, "size"))
    text = page(told)
    text.encode("utf-8")
    assert "size" in Strict.read(text).cells
    for line in lines(told):
        assert line.isprintable()


def test_the_page_holds_a_thousand_rows_and_says_of_how_many() -> None:
    many = [entry(f"m{n}") for n in range(3000)] + [entry(f"s{n}", "size") for n in range(5)]
    text = page(result(*many, *[entry(f"x{n}", "extraneous") for n in range(700)]))
    parsed = Strict.read(text)
    assert "1,000 of the 3,705 that were found" in text.replace("\n", " ")
    kinds = Counter(cell for cell in parsed.cells if cell in {"missing", "size", "extraneous"})
    listed = kinds - Counter({"missing": 20})  # those of the largest and the oldest
    assert sum(listed.values()) == 1000
    assert listed["size"] == 5
    assert listed["extraneous"] == 497
    few = page(result(entry("one")))
    assert "All 1 that were found." in few


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (result(), "equal"),
        (result(entry("a")), "different"),
        (result(entry("a"), error="cut"), "incomplete"),
    ],
)
def test_the_page_says_the_verdict(told: CheckResult, verdict: str) -> None:
    assert f"<title>3GSync check: {verdict}</title>" in page(told)
    assert f'class="verdict {verdict}"' in page(told)


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_the_filter_works_in_a_browser(tmp_path: Path) -> None:
    told = [entry(f"key {n}") for n in range(30)] + [entry(HOSTILE[0], "size")]
    file = tmp_path / "page.html"
    write_page(result(*told), file)
    act = (
        "<script>var kind = document.getElementById('kind');"
        "kind.value = 'size'; kind.dispatchEvent(new Event('change'));</script>"
    )
    file.write_text(file.read_text().replace("</body>", f"{act}</body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    dom = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert ">1 shown<" in dom
    assert dom.count("<tr hidden") == 30


# --- the terminal --------------------------------------------------------------------------


def test_the_terminal_shows_totals_the_largest_the_oldest_and_the_first() -> None:
    told = [entry(f"k{n}", size=n, at=2e9 - n) for n in range(30)]
    text = "\n".join(lines(result(*told, entry("cold", "archived"))))
    assert "missing: 30 objects, the first 20" in text
    assert "archived: 1 object" in text
    assert text.count("source-b/k29") == 2  # largest and oldest, not among the first twenty
    assert text.endswith("DIFFERENT: 31 objects differ.")


def test_the_terminal_says_what_is_open() -> None:
    text = "\n".join(lines(result(entry("a", "unverified"), error="no listing")))
    assert "FAILED: no listing" in text
    assert "NOT PROVEN: 1 pair not compared to the end; 1 object not verifiable" in text
    allowed = "\n".join(lines(result(entry("a", "unverified"), allow_unverified=True)))
    assert "EQUAL: 5 objects, none differs; 2 of them proven" in allowed


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (125, "2 min 5 s"), (12_060, "3 h 21 min")]
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert lasted(seconds) == text


def test_how_it_was_compared_in_words() -> None:
    depth = Depth(checksum=True, reading=Reading.SOURCE)
    said = CheckOptions(depth=depth, sample=0.015, seed="x").said
    assert said == (
        "listings (size), stored checksums, reading the source of what checksums leave open; "
        "closer looks at a sample of 1.5%, seed x"
    )


# --- JSON lines ----------------------------------------------------------------------------


def test_the_report_has_a_line_for_each_difference(tmp_path: Path) -> None:
    file = tmp_path / "found.jsonl"
    with ReportFile(file) as report:
        for key in HOSTILE:
            report(entry(key, "size"))
        report(entry("gone", "extraneous"))
    found = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
    assert [one["key"] for one in found] == [*HOSTILE, "gone"]
    assert found[0]["destination_key"] == f"to/{HOSTILE[0]}"
    assert found[0]["source"]["last_modified"] == "2023-11-14T22:13:20Z"
    assert found[-1]["source"] is None


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_compared(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="--report"):
        ReportFile(tmp_path / "no" / "folder")
    with pytest.raises(ConfigError, match="--html"):
        write_page(result(), tmp_path / "no" / "folder")


# --- counting ------------------------------------------------------------------------------


@given(sizes=st.lists(st.integers(0, 5), max_size=40), keep=st.integers(1, 5))
def test_the_largest_the_oldest_and_the_first_are_kept(sizes: list[int], keep: int) -> None:
    findings = Findings(keep=keep)
    entries = [entry(f"k{n}", size=size, at=1e9 + size) for n, size in enumerate(sizes)]
    for one in [*entries, entry("open", "unverified", size=10**9)]:
        findings.add(one)
    assert findings.differences == len(sizes)
    assert findings.largest == sorted(entries, key=lambda one: -one.size)[:10]
    assert findings.oldest == sorted(entries, key=lambda one: one.modified)[:10]
    assert findings.kept.get("missing", []) == entries[:keep]


def test_machines_are_told_all_counts() -> None:
    figures = result(entry("a"), entry("b", "unverified"), error="x").figures()
    assert json.loads(json.dumps(figures)) == figures
    assert (figures["verdict"], figures["differences"], figures["unverified"]) == (
        "incomplete",
        1,
        1,
    )
    assert figures["classes"]["missing"] == {"objects": 1, "bytes": 1}
    assert (figures["equal"], figures["equal_by"]) == (5, {"size": 3, "ledger": 2})
