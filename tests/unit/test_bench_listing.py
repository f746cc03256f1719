"""The bench's made-up buckets are listed as S3 lists real ones."""

from __future__ import annotations

import http.client
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus
from xml.sax.saxutils import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.listing_page import usual_page

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

native_servers = pytest.importorskip("native_servers")

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("make") and Path("/usr/include/openssl").is_dir()),
    reason="needs a C compiler, make and OpenSSL's headers",
)

COUNT, FOLDER = 230, 70
FULL = f"keys-{COUNT}-{FOLDER}"
GAPS = f"keys-{COUNT}-{FOLDER}-7-11"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    authority = native_servers.Authority.make(tmp_path_factory.mktemp("bench"))
    with native_servers.server(authority) as running:
        yield running


class Lists:
    """Asks one server for pages."""

    def __init__(self, server: Any) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.plain, timeout=10)

    def page(self, bucket: str, **query: object) -> bytes:
        texts = "&".join(
            f"{name.replace('_', '-')}={quote(str(value), safe='')}"
            for name, value in query.items()
        )
        self.connection.request("GET", f"/{bucket}?{texts}")
        reply = self.connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        return body

    def all(self, bucket: str, **query: object) -> tuple[list[str], list[str], int]:
        """Keys and common prefixes of all pages, and how many pages there were."""
        keys: list[str] = []
        groups: list[str] = []
        pages, more = 0, dict(query)
        while True:
            body = self.page(bucket, list_type=2, encoding_type="url", **more).decode()
            entries = re.findall(r"<Key>([^<]*)</Key>", body)
            shown = re.findall(r"<CommonPrefixes><Prefix>([^<]*)</Prefix>", body)
            assert int(re.findall(r"<KeyCount>(\d+)<", body)[0]) == len(entries) + len(shown)
            keys += map(unquote_plus, entries)
            groups += map(unquote_plus, shown)
            pages += 1
            token = re.search(r"<NextContinuationToken>([^<]*)<", body)
            assert ("<IsTruncated>true" in body) is bool(token)
            if not token:
                return keys, groups, pages
            more["continuation_token"] = token[1]


@pytest.fixture(scope="module")
def lists(server: Any) -> Iterator[Lists]:
    asked = Lists(server)
    yield asked
    asked.connection.close()


@pytest.fixture(scope="module")
def every(lists: Lists) -> list[str]:
    return lists.all(GAPS)[0]


def test_keys_come_in_the_order_of_their_utf8_bytes(lists: Lists) -> None:
    keys = lists.all(FULL)[0]
    assert len(set(keys)) == COUNT
    assert keys == sorted(keys, key=str.encode)
    assert keys != sorted(keys, key=lambda key: key.encode("utf-16-be"))
    assert any("é" in key or "ö" in key for key in keys)
    assert any("&" in key and "+" in key for key in keys)


@pytest.mark.parametrize("limit", [1, 2, 69, 70, 71, 229, 230, 1000, 5000])
def test_every_key_comes_once_however_it_is_cut(lists: Lists, limit: int) -> None:
    whole, _, _ = lists.all(FULL)
    keys, _, pages = lists.all(FULL, max_keys=limit)
    assert keys == whole
    assert pages == -(-COUNT // limit)


def test_pages_have_a_thousand_keys_at_most(lists: Lists) -> None:
    keys, _, pages = lists.all("keys-2500-1000", max_keys=100_000)
    assert (len(set(keys)), pages) == (2500, 3)


def test_what_is_missing_and_what_differs(lists: Lists) -> None:
    full = {entry.key: entry for entry in usual_page(lists.page(FULL, list_type=2)).entries}
    gaps = {entry.key: entry for entry in usual_page(lists.page(GAPS, list_type=2)).entries}
    keys = list(full)
    assert keys == [key for key in keys if key in gaps or keys.index(key) % 7 == 3]
    assert len(gaps) == COUNT - len(range(3, COUNT, 7))
    other = [key for key in gaps if gaps[key] != full[key]]
    assert other == [key for key in gaps if keys.index(key) % 11 == 3]
    assert all(gaps[key].size != full[key].size for key in other)
    assert all(gaps[key].etag != full[key].etag for key in other)
    assert len({entry.last_modified for entry in full.values()}) > COUNT // 2


@st.composite
def places(draw: st.DrawFn) -> str:
    """Texts at, before, behind and within the keys."""
    number = draw(st.integers(0, COUNT))
    folder = f"data/2000/01/{1 + number // FOLDER:02}/"
    name = draw(st.sampled_from(["part-", "\ufb00-", "\U0001f600-", "p", "~", ""]))
    end = draw(st.sampled_from([".bin", "", " ", "\uffff", " & gr"]))
    text = f"{folder}{name}{number:010}{end}"
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


@given(after=places(), prefix=places(), limit=st.integers(1, 40), slashes=st.booleans())
def test_listings_are_those_of_a_naive_model(
    *, lists: Lists, every: list[str], after: str, prefix: str, limit: int, slashes: bool
) -> None:
    keys = [key for key in every if key.startswith(prefix)]
    groups: list[str] = []
    if slashes:
        rest = {key: key[len(prefix) :] for key in keys}
        groups = sorted(
            {prefix + text[: text.index("/") + 1] for text in rest.values() if "/" in text},
            key=str.encode,
        )
        keys = [key for key in keys if "/" not in rest[key]]
    expected = (
        [key for key in keys if key > after],
        [group for group in groups if group > after],
    )
    query = {"prefix": prefix, "start_after": after, "max_keys": limit}
    query |= {"delimiter": "/"} if slashes else {}
    assert lists.all(GAPS, **query)[:2] == expected


def test_the_first_version_of_the_call_goes_on_from_markers(lists: Lists) -> None:
    whole = lists.all(GAPS)[0]
    keys, marker = [], ""
    while True:
        body = lists.page(GAPS, max_keys=50, marker=marker).decode()
        assert "<KeyCount>" not in body
        keys += [unescape(key) for key in re.findall(r"<Key>([^<]*)</Key>", body)]
        marker = keys[-1]
        if "<IsTruncated>false" in body:
            break
    assert keys == whole
    body = lists.page(FULL, max_keys=1, delimiter="/", prefix="data/2000/01/").decode()
    assert re.findall(r"<NextMarker>([^<]*)<", body) == ["data/2000/01/01/"]
    body = lists.page(
        FULL, max_keys=1, delimiter="/", prefix="data/2000/01/", marker="data/2000/01/01/"
    ).decode()
    assert re.findall(r"<CommonPrefixes><Prefix>([^<]*)<", body) == ["data/2000/01/02/"]


def test_plain_keys_are_escaped_for_xml(lists: Lists) -> None:
    plain = usual_page(lists.page(FULL, list_type=2))
    encoded = usual_page(lists.page(FULL, list_type=2, encoding_type="url"))
    assert plain == encoded


def test_ten_million_keys_are_as_quick_as_ten(lists: Lists) -> None:
    """Their end is found by bisection."""
    bucket = "keys-10000000-1000"
    last = lists.all(bucket, start_after="data/2029/10/04/part-0009999900.bin")[0]
    assert len(last) == 99
    assert last[-1].endswith("\U0001f600-0009999999.bin")


@pytest.mark.parametrize("bucket", ["keys-5", "keys-5-0", "keys-5-1x", "keys-5-1-2", "keys--1-1"])
def test_other_names_are_no_such_bucket(lists: Lists, bucket: str) -> None:
    assert b"<Contents>" not in lists.page(bucket, list_type=2)
