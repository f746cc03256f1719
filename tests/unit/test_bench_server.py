"""The bench's native server says what movers compare: it must not make any of them wrong."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from awscrt.checksums import crc32c

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

native_servers = pytest.importorskip("native_servers")

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("make") and Path("/usr/include/openssl").is_dir()),
    reason="needs a C compiler, make and OpenSSL's headers",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    authority = native_servers.Authority.make(tmp_path_factory.mktemp("bench"))
    with native_servers.server(authority) as running:
        yield running


class Peer:
    """One kept-alive connection without TLS."""

    def __init__(self, server: Any) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.plain, timeout=10)

    def __call__(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, Any, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body or None, named)
        reply = self.connection.getresponse()
        return reply.status, reply.headers, reply.read()

    def aws(self, operation: str, **request: Any) -> dict[str, Any]:
        target = f"AmazonSQS.{operation}"
        status, _, body = self("POST", "/", json.dumps(request).encode(), X_Amz_Target=target)
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found


@pytest.fixture
def peer(server: Any) -> Iterator[Peer]:
    made = Peer(server)
    yield made
    made.connection.close()


def goog_hash(body: bytes) -> str:
    return "crc32c=" + base64.b64encode(crc32c(body).to_bytes(4, "big")).decode()


def test_a_range_is_that_part_of_the_whole_and_the_etag_its_md5(peer: Peer) -> None:
    _, headers, whole = peer("GET", "/src-3000000-5/000000001")
    assert len(whole) == 3_000_000
    assert headers["ETag"] == f'"{hashlib.md5(whole, usedforsecurity=False).hexdigest()}"'
    status, ranged, part = peer("GET", "/src-3000000-5/000000001", Range="bytes=999990-2000009")
    assert (status, ranged["Content-Range"]) == (206, "bytes 999990-2000009/3000000")
    assert part == whole[999_990:2_000_010]
    status, head, nothing = peer("HEAD", "/src-3000000-5/000000001")
    assert (head["ETag"], head["Content-Length"], nothing) == (headers["ETag"], "3000000", b"")


def test_what_is_not_there_is_not_found(peer: Peer) -> None:
    assert peer("GET", "/src-10-5/000000005")[0] == 404
    assert b"NoSuchKey" in peer("GET", "/target/never-written")[2]


def test_a_listing_has_every_key_once(peer: Peer) -> None:
    keys: list[str] = []
    token = ""
    while True:
        _, _, body = peer("GET", f"/src-10-2345?list-type=2&continuation-token={token}")
        keys += re.findall(r"<Key>(\d+)</Key>", body.decode())
        found = re.search(r"<NextContinuationToken>(\d+)<", body.decode())
        if not found:
            break
        token = found[1]
    assert keys == [f"{number:09}" for number in range(2345)]


@pytest.mark.parametrize("size", [0, 1, 7, 8, 4096, 100_000])
def test_a_write_is_answered_with_its_crc32c(peer: Peer, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    _, headers, _ = peer("PUT", f"/target/a%20key/{size}", body, Content_Length=str(size))
    assert headers["x-goog-hash"] == goog_hash(body)
    _, head, _ = peer("HEAD", f"/target/a%20key/{size}")
    assert (head["x-goog-hash"], head["Content-Length"]) == (goog_hash(body), str(size))


def test_a_finished_upload_has_the_checksum_of_the_named_parts_together(peer: Peer) -> None:
    _, _, begun = peer("POST", "/target/large?uploads")
    upload = re.search(rb"<UploadId>(\d+)<", begun)
    assert upload
    where = f"/target/large?uploadId={upload[1].decode()}"
    bodies = {number: bytes([number % 251]) * (70_001 + number) for number in (3, 1, 2, 10_000)}
    for number, body in bodies.items():
        assert peer("PUT", f"{where}&partNumber={number}", body)[0] == 200
    listed = re.findall(rb"<PartNumber>(\d+)<", peer("GET", where)[2])
    assert listed == [b"1", b"2", b"3", b"10000"]
    named = "".join(f"<Part><PartNumber>{number}</PartNumber></Part>" for number in (1, 2, 3))
    assert peer("POST", where, f"<C>{named}</C>".encode())[0] == 200
    whole = bodies[1] + bodies[2] + bodies[3]
    _, head, _ = peer("HEAD", "/target/large")
    assert (head["x-goog-hash"], head["Content-Length"]) == (goog_hash(whole), str(len(whole)))
    assert peer("GET", where)[0] == 404


def test_a_queue_gives_every_message_once_and_what_is_given_back_again(peer: Peer) -> None:
    url = peer.aws("GetQueueUrl", QueueName="events_src-10-12_test")["QueueUrl"]
    first = peer.aws("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    for message in first:
        body = message["Body"].encode()
        assert message["MD5OfBody"] == hashlib.md5(body, usedforsecurity=False).hexdigest()
    entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(first)]
    back = [{**entries[4], "VisibilityTimeout": 0}]
    peer.aws("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=back)
    done = peer.aws("DeleteMessageBatch", QueueUrl=url, Entries=entries[:4] + entries[5:])
    assert len(done["Successful"]) == 9
    rest = peer.aws("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert {m["ReceiptHandle"] for m in rest} == {"4-2", "10-1", "11-1"}
    assert "Messages" not in peer.aws("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=0)
    stats = json.loads(peer("GET", "/_stats")[2])
    assert stats["queues"]["events_src-10-12_test"]["deleted"] == 9
