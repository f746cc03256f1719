"""Servers, and files, that mean harm: an error of our own in bounded time and memory, and no
credential ever goes to another host.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.inputs import servers
from faults.inputs.servers import Server, attack, judge, meet_servers
from faults.inputs.victim import CALLS
from faults.inputs.villains import Villain, reply, said, villains
from faults.tally import Tally

from sync.adapters.inventory.csv_rows import read_csv
from sync.adapters.inventory.files import Files
from sync.adapters.inventory.places import Place
from sync.adapters.inventory.values import DataFile, Format
from sync.adapters.trigger_policy import Sender, grant
from sync.errors import ConfigError, IntegrityError, TransientStoreError
from sync.model import ListedObject
from sync.paging import MOST_EMPTY, Onward
from sync.ports import ListingPage

MIB = 1024 * 1024


def test_every_hostile_server_is_survived() -> None:
    tally = Tally()
    meet_servers(tally)
    tally.verify()
    (row,) = tally.rows
    assert row.tried == row.survived == tally.bad_inputs >= 160


def test_every_call_meets_a_hostile_server() -> None:
    met = {call for villain in villains("http://evil").values() for call in villain.calls}
    assert met == set(CALLS)


def told(**changed: Any) -> dict[str, Any]:
    return {"ended": "X", "ours": True, "seconds": 1.0, "mib": 1, "open": 0} | changed


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"ended": ""}, "it ended well"),
        ({"ours": False, "ended": "KeyError"}, "no error of ours: KeyError"),
        ({"seconds": 99.0}, "it took 99.0 s"),
        ({"mib": 500}, "it took 500 MiB"),
        ({"open": 2}, "2 connections are left"),
        ({}, ""),
    ],
)
def test_the_verdict_finds_what_is_wrong(changed: dict[str, Any], fault: str) -> None:
    quiet, asked = Server(lambda _peer, _n: None), Server(lambda _peer, _n: None)
    asked.seen.append(b"GET /")
    assert judge(told(**changed), Villain(play=said()), asked, quiet) == fault
    assert "never asked" in judge(told(), Villain(play=said()), quiet, quiet)
    assert "another host was talked to" in judge(told(), Villain(play=said()), asked, asked)
    quiet.close()
    asked.close()


def test_a_server_that_does_no_harm_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = reply("200 OK", b"abc", "ETag: x")
    meek = {"meek": Villain(play=said(kind), calls=("get",))}
    monkeypatch.setattr(servers, "villains", lambda _evil: meek)
    (found,) = attack()
    assert found["fault"] == "it ended well"


def test_the_request_reaches_its_own_server_signed_and_no_other() -> None:
    """What the other host never gets is there to be sent: the first server does get it."""
    seen: list[bytes] = []

    def play(peer: socket.socket, number: int) -> None:
        peer.sendall(reply("307 Moved", b"", "Location: http://127.0.0.1:9/"))

    server = Server(play)
    seen = server.seen
    from faults.inputs.victim import suffer

    found = asyncio.run(suffer("get", server.url))
    server.close()
    assert str(found["ended"]).startswith("RequestRefused")
    assert len(seen) == 1
    assert b"authorization: AWS4-HMAC-SHA256" in seen[0] or b"Authorization: AWS4" in seen[0]


# --- files ----------------------------------------------------------------------------


def _peak(path: Path) -> int:
    file = DataFile(name="data", places=(), format=Format.CSV)
    tracemalloc.start()
    try:
        with pytest.raises(IntegrityError):
            for _ in read_csv(file, path, bucket="source"):
                pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _bombs() -> Iterator[tuple[str, bytes, bytes]]:
    yield "a line without end", b"", b"a" * MIB
    yield "a quote without end", b'"', b"a\n" * (MIB // 2)
    yield "fields without end", b"source,key", b",a" * (MIB // 2)
    yield "quoted fields over lines without end", b'x,"', b'\n","' * (MIB // 4)
    yield "NULs", b"", bytes(MIB)


@pytest.mark.parametrize(("name", "first", "block"), list(_bombs()))
def test_a_compressed_row_of_hundreds_of_megabytes_takes_no_memory(
    name: str, first: bytes, block: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(first)
        for _ in range(64):
            file.write(block)
    assert _peak(path) < 16 * MIB


# --- listings -------------------------------------------------------------------------


def test_a_circle_of_tokens_is_found_wherever_it_begins() -> None:
    for before in (0, 1, 5, 100):
        for length in (1, 2, 3, 17, 500):
            onward = Onward("x")
            for number in range(before):
                onward.step(f"before-{number}")
            with pytest.raises(TransientStoreError, match="does not get on"):
                for number in range(8 * (before + length)):
                    onward.step(f"circle-{number % length}")


def test_a_listing_that_gets_on_is_never_stopped() -> None:
    onward = Onward("x")
    for number in range(5000):
        onward.step(number, empty=number % (MOST_EMPTY // 2) != 0)


class _Endless:
    def __init__(self, *entries: str) -> None:
        self._entries = entries
        self.asked = 0

    async def list_page(self, bucket: str, **given: Any) -> ListingPage:
        self.asked += 1
        entries = [ListedObject(f"{name}{self.asked:09}", 1) for name in self._entries]
        return ListingPage(tuple(entries), f"t{self.asked}")


def test_an_inventory_s_folder_that_does_not_get_on_is_left() -> None:
    lister = _Endless()

    async def store(_scheme: str) -> Any:
        return lister

    with pytest.raises(TransientStoreError, match="does not get on"):
        asyncio.run(Files(store).folder(Place("s3", "bucket", "")))
    assert lister.asked < 5


def test_an_inventory_s_folder_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from sync.adapters.inventory import files

    monkeypatch.setattr(files, "_MOST_ENTRIES", 500)

    async def store(_scheme: str) -> Any:
        return _Endless("a", "b")

    with pytest.raises(ConfigError, match="too much for a folder"):
        asyncio.run(Files(store).folder(Place("s3", "bucket", "")))


def test_a_reason_behind_the_longest_key_is_not_cut_off() -> None:
    from sync.adapters.sqs_messages import failure_attributes
    from sync.errors import shortened
    from sync.ports import Delivery

    reason = f"bucket/{'a' * 1025}: the key has 1025 bytes; the destination allows 1024"
    found = failure_attributes(
        Delivery("m", "r", "body"), reason=reason, code="c", failed_at=0.0, size=262144
    )["reason"]["StringValue"]
    assert len(found) == 1000
    assert found.startswith("bucket/aaa")
    assert found.endswith("the destination allows 1024")
    assert [shortened("abcdefgh", most) for most in (8, 7, 4, 3)] == [
        "abcdefgh", "abc…fgh", "a…gh", "a…h",
    ]  # fmt: skip


def test_a_policy_s_stars_cost_no_more_than_their_number() -> None:
    arn = "arn:aws:s3:::" + "a" * 200
    sender = Sender(bucket_arn=arn, account="1", queue_arn="a" * 200)
    stars = "*a" * 60 + "b"
    condition = f'{{"ArnLike": {{"aws:SourceArn": "{stars}"}}}}'
    policy = (
        f'{{"Statement": {{"Effect": "Allow", "Resource": "{stars}", "Condition": {condition}}}}}'
    )
    assert grant(policy, sender).value
