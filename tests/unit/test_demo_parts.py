"""The demonstration's own judgement: what counts as lost or stale, and what the logs tell."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sync.demo.contents import AWKWARD_KEYS, Item, catalogue
from sync.demo.messages import UNREADABLE, created_event
from sync.demo.screen import Reading, Screen
from sync.demo.verify import Verdict, Verification
from sync.demo.watch import Watch, quantile
from sync.errors import MessageError
from sync.messages import DestinationRule, decode


@dataclass
class Held:
    body: bytes
    content_type: str = "text/plain"
    etag: str = "e1"
    metadata: dict[str, str] = field(default_factory=dict)
    cache: str | None = None


class Bucket:
    """As much of a boto3 client as the comparison uses."""

    def __init__(self, objects: dict[str, Held]) -> None:
        self.objects = objects

    def get_paginator(self, _name: str) -> Bucket:
        return self

    def paginate(self, **_options: str) -> list[dict[str, Any]]:
        entries = [{"Key": key, "Size": len(held.body)} for key, held in self.objects.items()]
        return [{"Contents": entries[:1]}, {"Contents": entries[1:]}, {}]

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  boto3's names
        held = self.objects[Key]
        if held.etag == "broken":
            raise ClientError({"Error": {"Code": "500", "Message": Bucket}}, "GetObject")
        reply: dict[str, Any] = {
            "Body": io.BytesIO(held.body),
            "ContentLength": len(held.body),
            "ContentType": held.content_type,
            "ETag": f'"{held.etag}"',
            "Metadata": held.metadata,
        }
        return {**reply, "CacheControl": held.cache} if held.cache else reply


@dataclass
class Sides:
    source: Bucket
    destination: Bucket


SOURCE = Held(b"x" * 3_000_000, metadata={"a": "1"})
GOOD = Held(
    SOURCE.body,
    etag="own",
    metadata={"a": "1", "3gsync-source-etag": "e1"},
    cache="private, max-age=0",
)


def judge(there: dict[str, Held], *, source: dict[str, Held] | None = None) -> Verdict:
    sides: Any = Sides(Bucket(source or {"k": SOURCE}), Bucket(there))
    return Verification(sides, left_out={"ignored"}).run()


def test_an_equal_object_is_verified() -> None:
    verdict = judge({"k": GOOD})
    assert (verdict.objects, verdict.verified, verdict.bytes) == (1, 1, 3_000_000)
    assert not verdict.lost
    assert not verdict.stale


@pytest.mark.parametrize(
    "other",
    [
        replace(GOOD, body=SOURCE.body[:-1] + b"y"),
        replace(GOOD, body=SOURCE.body[:-1]),
        replace(GOOD, content_type="text/html"),
        replace(GOOD, cache="max-age=1"),
        replace(GOOD, metadata={"3gsync-source-etag": "e1"}),
        replace(GOOD, metadata={"a": "1", "b": "2", "3gsync-source-etag": "e1"}),
        replace(GOOD, metadata={"a": "1", "3gsync-source-etag": "e0"}),
        replace(GOOD, etag="broken"),
    ],
)
def test_any_difference_is_stale(other: Held) -> None:
    verdict = judge({"k": other})
    assert list(verdict.stale) == ["k"]
    assert verdict.verified == 0


def test_a_missing_object_is_lost() -> None:
    assert list(judge({}).lost) == ["k"]


def test_what_should_not_be_there_is_stale() -> None:
    verdict = judge({"k": GOOD, "ignored": GOOD}, source={"k": SOURCE, "ignored": SOURCE})
    assert list(verdict.stale) == ["ignored"]
    assert verdict.verified == 1


def test_logs_are_read_as_they_grow(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    line = {
        "event": "object",
        "outcome": "copied",
        "destination": "b/k",
        "bytes": 5,
        "parts_reused": 2,
        "rounds": 2,
        "lag": 0.5,
    }
    text = json.dumps(line) + "\n"
    log.write_text("no JSON\n" + text + text[:20])
    watch = Watch()
    watch.follow("worker-1", log)
    assert watch.update().copies == 1
    with log.open("a") as file:
        file.write(text[20:] + json.dumps({**line, "outcome": "failed", "parts_reused": 9}) + "\n")
    figures = watch.update()
    assert (figures.copies, figures.resumed_parts, figures.converged) == (2, 4, 2)
    assert (figures.copied, figures.lags, figures.bytes_moved) == ({"b/k"}, [0.5, 0.5], 15)
    assert figures.outcomes == {"copied": 2, "failed": 1}


def test_quantiles_are_values_that_were_seen() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99)) == (50.0, 99.0)
    assert (quantile([3.0], 0.99), quantile([], 0.5)) == (3.0, 0.0)


def test_its_own_messages_are_what_they_claim_to_be() -> None:
    rule = DestinationRule("d")
    for key in (*AWKWARD_KEYS, "line\nbreak"):
        body = created_event("src", key, size=1, etag="e", sequencer="01")
        (job,) = decode(body, rule).jobs
        assert job.source.key == key
    with pytest.raises(MessageError):
        decode(UNREADABLE, rule)


@pytest.mark.parametrize("small", [True, False])
def test_every_key_is_there_once_and_all_fit_the_limits(small: bool) -> None:
    items = list(catalogue(small=small))
    keys = [item.key for item in items]
    assert len(set(keys)) == len(keys)
    assert max(len(key.encode()) for key in keys) == 1024
    assert {0, 1, 65_536} <= {item.size for item in items}
    assert max(item.size for item in items) > (40_000_000 if small else 200_000_000)


def test_an_edition_has_other_bytes_and_the_same_ones_each_time() -> None:
    item = Item("k", 9_000_000)
    body = item.body()
    assert len(body) == item.size
    assert item.body() == body
    assert body[:4096] != body[4_194_304:][:4096]
    assert item.rewritten().body()[:100] != body[:100]
    assert Item("k", 0).rewritten().size > 0


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def reading() -> Reading:
    return Reading(
        noun="objects",
        done=99_999,
        total=100_000,
        copies=12_345,
        moved=999_999_999_999,
        queue=9999,
        in_flight=999,
        lag=999.9,
        failures=99_999,
    )


def test_on_a_terminal_the_block_fits_80_columns_and_is_wiped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    out = Terminal()
    screen = Screen(out)
    with screen.showing(reading):
        screen._refresh()
        screen.step("something happened")
    drawn = out.getvalue()
    assert max(len(line) for line in drawn.replace("\x1b[J", "\n").splitlines()) < 80
    assert "99999/100000 objects" in drawn
    assert drawn.endswith("\r\x1b[2A\x1b[J")


def test_elsewhere_there_are_plain_lines_in_the_encoding_at_hand() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    with screen.showing(reading):
        screen._refresh()
        screen.print("😀")
    text = raw.getvalue().decode("ascii")
    assert "99999/100000 objects" in text
    assert "\\U0001f600" in text
    assert "\x1b" not in text
