"""Faults and limits on request, the control API, TLS, start and end."""

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.gcs import BUCKET, ask, boto_client, fault_text, running_gcs, send, signed
from sync.errors import ConfigError
from sync.standins.gcs import Control, Fault, GcsProcess, GcsStandIn, Match, Options

BODY = b"x" * 300_000


@pytest.fixture(scope="module")
def shared() -> Iterator[GcsProcess]:
    with running_gcs() as running:
        yield running


@pytest.fixture
def gcs(shared: GcsProcess) -> Iterator[GcsProcess]:
    yield shared
    left = shared.control.unfired()
    shared.control.clear_faults()
    assert not left, "a fault was put in place and never fired"


def test_a_refusal_before_anything_happened(gcs: GcsProcess) -> None:
    gcs.control.add(Fault(Match("PUT", key="^refused$"), status=503, code="ServiceUnavailable"))
    reply = ask(gcs, "PUT", "refused", body=BODY)
    assert (reply.status, reply.code) == (503, "ServiceUnavailable")
    assert ask(gcs, "HEAD", "refused").status == 404
    assert ask(gcs, "PUT", "refused", body=BODY).status == 200


def test_throttling_with_retry_after(gcs: GcsProcess) -> None:
    gcs.control.add(Fault(Match(operation="GetObject"), status=429, code="SlowDown", retry_after=3))
    reply = ask(gcs, "GET", "any")
    assert (reply.status, reply.code, reply.header("retry-after")) == (429, "SlowDown", "3")


def test_only_the_calls_meant_are_struck(gcs: GcsProcess) -> None:
    match = Match("PUT", bucket=BUCKET, key="counted", after=1)
    (number,) = gcs.control.add(Fault(match, times=2, status=500))
    statuses = [ask(gcs, "PUT", f"counted-{turn}").status for turn in range(5)]
    assert statuses == [200, 500, 500, 200, 200]
    entry = gcs.control.faults()[number]
    assert (entry["seen"], entry["fired"]) == (5, 2)


def test_a_fault_that_never_fired_is_known(shared: GcsProcess) -> None:
    (number,) = shared.control.add(Fault(Match(key="nobody asks for this"), status=500))
    assert shared.control.unfired() == [number]
    shared.control.clear_faults()
    assert shared.control.faults() == {}


def test_no_reply_although_it_was_done(gcs: GcsProcess) -> None:
    gcs.control.add(Fault(Match(operation="PutObject", key="silent"), no_reply=True))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(gcs, "PUT", "silent", body=BODY)
    assert ask(gcs, "GET", "silent").body == BODY


def test_a_cut_at_the_head_has_no_effect(gcs: GcsProcess) -> None:
    gcs.control.add(Fault(Match("PUT", key="beheaded"), cut_at_head=True))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(gcs, "PUT", "beheaded", body=b"")
    assert ask(gcs, "HEAD", "beheaded").status == 404


def test_a_cut_in_the_request_body_keeps_the_old_object(gcs: GcsProcess) -> None:
    ask(gcs, "PUT", "torso", body=b"old")
    gcs.control.add(Fault(Match("PUT", key="torso"), cut_body_after=1000))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(gcs, "PUT", "torso", body=BODY)
    assert ask(gcs, "GET", "torso").body == b"old"


def test_a_client_that_goes_away_publishes_nothing(gcs: GcsProcess) -> None:
    headers = signed(gcs, "PUT", f"/{BUCKET}/left") | {"content-length": str(len(BODY))}
    place = gcs.url.removeprefix("http://").split(":")
    before = gcs.control.stats()["operations"].get("PutObject", 0)
    with socket.create_connection((place[0], int(place[1]))) as raw:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw.sendall(f"PUT /{BUCKET}/left HTTP/1.1\r\n{lines}\r\n".encode() + BODY[:1000])
    while gcs.control.stats()["operations"].get("PutObject", 0) == before:
        time.sleep(0.01)
    assert ask(gcs, "HEAD", "left").status == 404


def test_a_cut_in_the_reply_body(gcs: GcsProcess) -> None:
    ask(gcs, "PUT", "half", body=BODY)
    gcs.control.add(Fault(Match("GET", key="half"), cut_reply_after=1234))
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(gcs, "GET", "half")
    assert len(caught.value.partial) == 1234


def test_damage_on_the_way_in_shows_in_the_reply(gcs: GcsProcess) -> None:
    good = ask(gcs, "PUT", "damaged", body=BODY)
    gcs.control.add(Fault(Match("PUT", key="damaged"), corrupt_body_at=200_000))
    bad = ask(gcs, "PUT", "damaged", body=BODY)
    assert bad.status == 200
    assert bad.header("x-goog-hash") != good.header("x-goog-hash")
    stored = ask(gcs, "GET", "damaged").body
    assert [i for i in range(len(BODY)) if stored[i] != BODY[i]] == [200_000]


def test_damage_at_rest_does_not(gcs: GcsProcess) -> None:
    good = ask(gcs, "PUT", "rotten", body=BODY)
    gcs.control.add(Fault(Match("PUT", key="rotten"), corrupt_stored_at=7))
    assert ask(gcs, "PUT", "rotten", body=BODY).header("x-goog-hash") == good.header("x-goog-hash")
    assert ask(gcs, "GET", "rotten").body[7] != BODY[7]


def test_a_reply_without_hashes(gcs: GcsProcess) -> None:
    gcs.control.add(Fault(Match("PUT", key="hashless"), drop_hash=True))
    reply = ask(gcs, "PUT", "hashless", body=BODY)
    assert (reply.status, reply.header("x-goog-hash")) == (200, "")


def test_an_error_body_under_a_200_at_completion(gcs: GcsProcess) -> None:
    upload_id = fault_text(ask(gcs, "POST", "liar", query="uploads").body, "UploadId")
    part = ask(gcs, "PUT", "liar", query=f"partNumber=1&uploadId={upload_id}", body=b"x")
    etag = part.header("etag")
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    gcs.control.add(
        Fault(Match(operation="CompleteMultipartUpload"), status=200, code="InternalError")
    )
    reply = ask(gcs, "POST", "liar", query=f"uploadId={upload_id}", body=body)
    assert (reply.status, reply.code) == (200, "InternalError")
    assert ask(gcs, "POST", "liar", query=f"uploadId={upload_id}", body=body).code == ""
    assert ask(gcs, "GET", "liar").body == b"x"


def test_an_error_although_it_was_done(gcs: GcsProcess) -> None:
    fault = Fault(Match("PUT", key="done"), reply_status=500, reply_code="InternalError")
    gcs.control.add(fault)
    assert ask(gcs, "PUT", "done", body=b"x").status == 500
    assert ask(gcs, "GET", "done").body == b"x"


@pytest.mark.parametrize("field", ["delay", "delay_reply"])
def test_delays(gcs: GcsProcess, field: str) -> None:
    delays: dict[str, Any] = {field: 0.2}
    gcs.control.add(Fault(Match("PUT", key="slow"), **delays))
    started = time.monotonic()
    assert ask(gcs, "PUT", "slow").status == 200
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("wrong", [{"no_such": 1}, {"match": {"key": "("}}, {"match": 1}, 7])
def test_what_is_no_fault_is_refused(shared: GcsProcess, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"fault|object|argument"):
        shared.control._ask("POST", "faults", [wrong])


def test_the_control_api_needs_its_token(shared: GcsProcess) -> None:
    with pytest.raises(ConfigError, match="x-standin-token"):
        Control(shared.url, "guess").stats()


def test_the_journal_tells_what_was_asked(shared: GcsProcess) -> None:
    before = max((entry["number"] for entry in shared.control.requests()), default=0)
    ask(shared, "PUT", "noted +", body=b"12345")
    ask(shared, "GET", "not there", query="generation=1")
    put, get = shared.control.requests(since=before)
    assert (put["operation"], put["key"], put["bytes_in"], put["status"]) == (
        "PutObject",
        "noted +",
        5,
        200,
    )
    assert (get["query"], get["status"], get["code"]) == ({"generation": "1"}, 404, "NoSuchKey")
    assert shared.control.requests(since=before, operation="PutObject") == [put]
    counts = shared.control.stats()
    assert counts["codes"]["NoSuchKey"] >= 1
    assert counts["objects"] >= 1


def test_one_write_a_second_to_the_same_object() -> None:
    with running_gcs(writes_per_object_per_second=1, retry_after=1) as gcs:
        assert ask(gcs, "PUT", "hot", body=b"1").status == 200
        reply = ask(gcs, "PUT", "hot", body=b"2")
        assert (reply.status, reply.code) == (429, "SlowDown")
        assert reply.header("retry-after") == "1"
        assert ask(gcs, "DELETE", "hot").code == "SlowDown"
        assert ask(gcs, "PUT", "cold", body=b"1").status == 200
        assert ask(gcs, "GET", "hot").body == b"1"
        while ask(gcs, "PUT", "hot", body=b"2").status == 429:
            time.sleep(0.1)
        assert ask(gcs, "GET", "hot").body == b"2"


def test_an_early_refusal_reaches_a_client_that_is_still_sending(shared: GcsProcess) -> None:
    reply = ask(shared, "PUT", "k" * 1025, body=b"x" * 8_000_000)
    assert reply.code == "KeyTooLong"
    assert reply.header("connection") == "close"


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key, ca = (str(tmp_path / name) for name in ("cert.pem", "key.pem", "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    with running_gcs(cert_file=cert, key_file=key, ca_file=ca) as gcs:
        assert gcs.url.startswith("https://")
        assert ask(gcs, "PUT", "secure", body=BODY, ca_file=ca).status == 200
        assert ask(gcs, "GET", "secure", ca_file=ca).body == BODY
        assert gcs.control.stats()["objects"] == 1


def test_large_bodies_go_to_files_that_are_removed(tmp_path: Path) -> None:
    with running_gcs(data_dir=str(tmp_path), memory_limit=1000) as gcs:
        ask(gcs, "PUT", "big", body=BODY)
        ask(gcs, "PUT", "small", body=b"x")
        assert len(list(tmp_path.iterdir())) == 1
        ask(gcs, "PUT", "big", body=BODY + b"!")
        assert len(list(tmp_path.iterdir())) == 1
        ask(gcs, "DELETE", "big")
        assert not list(tmp_path.iterdir())


def test_in_process() -> None:
    async def run() -> bytes:
        async with GcsStandIn(Options(buckets=(BUCKET,))) as server:
            server.store.bucket(BUCKET)
            server.faults.add(Fault(Match("GET"), status=503))
            link = f"{server.url}/{BUCKET}/k"

            def ask_once() -> bytes:
                try:
                    urllib.request.urlopen(link)
                except urllib.error.HTTPError as refused:
                    with refused:
                        return refused.read()
                return b""

            return await asyncio.to_thread(ask_once)

    assert b"InternalError" in asyncio.run(run())


def test_the_command_line_prints_one_line_when_ready() -> None:
    command = [sys.executable, "-m", "sync.standins.gcs", "--port", "0", "--bucket", BUCKET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["pid"] == process.pid
        control = Control(ready["url"], ready["control_token"])
        assert control.stats()["objects"] == 0
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout.read() == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Expecting"),
        ('{"colour": 1}', "unknown options: colour"),
        ('{"identities": [{"secret": "hush"}]}', "access_id"),
    ],
)
def test_wrong_options_are_told(text: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sync.standins.gcs", "--config", "-"],
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "hush" not in done.stderr


def test_memory_stays_small_under_large_objects(shared: GcsProcess) -> None:
    client = boto_client(shared)

    def peak() -> int:
        status = Path(f"/proc/{shared.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    before = peak()
    client.put_object(Bucket=BUCKET, Key="large", Body=os.urandom(80_000_000))
    reply = client.get_object(Bucket=BUCKET, Key="large")["Body"]
    assert sum(len(piece) for piece in reply.iter_chunks(1 << 20)) == 80_000_000
    assert peak() - before < 30_000


def test_garbage_is_answered_with_400(shared: GcsProcess) -> None:
    place = shared.url.removeprefix("http://").split(":")
    with socket.create_connection((place[0], int(place[1]))) as raw:
        raw.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 400")


def test_expect_continue_is_answered_before_the_body(shared: GcsProcess) -> None:
    headers = signed(shared, "PUT", f"/{BUCKET}/polite")
    reply = send(
        shared, "PUT", f"/{BUCKET}/polite", headers=headers | {"expect": "100-continue"}, body=b"x"
    )
    assert reply.status == 200
