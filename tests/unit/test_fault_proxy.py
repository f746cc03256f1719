"""The fault proxy itself: forwards unchanged, does what each rule says, and knows what it did."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from faults.proxy import BACKGROUND, Fault, FaultProxy, Rule
from faults.proxy import library as faults

from support.worker_process import eventually

BODY = bytes(range(256)) * 40


@dataclass
class Upstream:
    """A plain server that remembers. GET gives ``BODY``; anything else an empty reply."""

    url: str = ""
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [line for line, _, _ in self.seen]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    found = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _any(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                return
            found.seen.append((self.requestline, dict(self.headers), body))
            told = BODY if self.command == "GET" else b""
            self.send_response(200)
            self.send_header("Content-Length", str(len(told)))
            self.send_header("X-Kept", "  as it was")
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_PUT = do_POST = _any  # noqa: N815  the names the base class looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[FaultProxy]:
    with FaultProxy(upstream.url) as running:
        yield running


def asker(proxy: FaultProxy, timeout: float = 5.0) -> http.client.HTTPConnection:
    if proxy.tls:
        trust = ssl.create_default_context(cafile=str(proxy.ca_file))
        return http.client.HTTPSConnection("localhost", proxy.port, timeout=timeout, context=trust)
    return http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)


def ask(  # noqa: PLR0917  a request, in its own order
    proxy: FaultProxy,
    method: str = "GET",
    target: str = "/b/k",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 5.0,
) -> tuple[int, dict[str, str], bytes]:
    connection = asker(proxy, timeout)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


@pytest.mark.parametrize("tls", [False, True])
def test_it_forwards_every_byte_unchanged(upstream: Upstream, tls: bool) -> None:
    with FaultProxy(upstream.url, tls=tls, keep="^PUT") as proxy:
        assert ask(proxy)[2] == BODY
        status, headers, _ = ask(proxy, "PUT", "/b/a%2F%20?x=%7e", b"text", {"Host": "some.where"})
    assert (status, headers["X-Kept"]) == (200, "as it was")
    line, sent, body = upstream.seen[1]
    assert (line, sent["Host"], body) == ("PUT /b/a%2F%20?x=%7e HTTP/1.1", "some.where", b"text")
    first, second = proxy.journal
    assert (first.status, first.answered, first.told) == ("200", True, b"")
    assert second.asked == b"text"
    assert proxy.fired == {}
    assert proxy.close() == []


def test_a_kept_connection_carries_many_requests(upstream: Upstream, proxy: FaultProxy) -> None:
    connection = asker(proxy)
    for _ in range(5):
        connection.request("GET", "/b/k")
        assert connection.getresponse().read() == BODY
    connection.close()
    assert len(upstream.seen) == 5


def test_a_rule_strikes_the_requests_that_are_meant_and_says_so(proxy: FaultProxy) -> None:
    rule = proxy.add(Rule("^GET /b/k", faults.refused(503, "SlowDown"), after=1, times=2))
    never = Rule("^GET /b/other", faults.lost_reply(), kind="never")
    proxy.add(never)
    assert [ask(proxy)[0] for _ in range(4)] == [200, 503, 503, 200]
    assert (rule.seen, rule.fired) == (3, 2)
    assert proxy.fired == {"503-SlowDown": 2}
    assert [entry.fault for entry in proxy.journal] == ["", "503-SlowDown", "503-SlowDown", ""]
    assert proxy.close() == ["never: ^GET /b/other"]


def test_a_fault_that_found_nothing_to_strike_has_not_fired(proxy: FaultProxy) -> None:
    proxy.add(Rule("^GET", faults.truncated(len(BODY) + 1)))
    assert ask(proxy)[2] == BODY
    assert proxy.fired == {}
    assert len(proxy.close()) == 1


def test_rules_see_operation_range_and_signer(proxy: FaultProxy) -> None:
    proxy.add(Rule("^POST / AmazonSQS.Send by AKID$", faults.refused(400, "ExpiredToken")))
    proxy.add(Rule("^GET /b/k bytes=0-9", faults.refused(412, "PreconditionFailed")))
    signed = "AWS4-HMAC-SHA256 Credential=AKID/20260101/r/s3/aws4_request, SignedHeaders=host"
    named = {"X-Amz-Target": "AmazonSQS.Send", "Authorization": signed}
    status, _, body = ask(proxy, "POST", "/", b"{}", named)
    assert (status, json.loads(body)["__type"]) == (400, "com.amazonaws#ExpiredToken")
    assert ask(proxy, headers={"Range": "bytes=0-9"})[0] == 412


def broken(
    proxy: FaultProxy,
    method: str = "GET",
    target: str = "/b/k",
    body: bytes | None = None,
) -> type[Exception] | bytes:
    """What becomes of a request: how it fails, or the body that came."""
    try:
        return ask(proxy, method, target, body)[2]
    except (OSError, http.client.HTTPException) as error:
        return type(error)


def stalled(proxy: FaultProxy, method: str, body: bytes | None = None) -> type[Exception] | bytes:
    """As ``broken``; patience begins to run out only once a fault has struck."""
    connection = asker(proxy)
    connection.request(method, "/b/k", body=body)
    eventually("it struck", lambda: proxy.fired)
    connection.sock.settimeout(0.1)
    try:
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        return type(error)
    finally:
        connection.close()


BROKEN: list[tuple[Fault, str, bool]] = [
    (faults.reset_unheard(), "ConnectionResetError", False),
    (faults.lost_request(), "ConnectionResetError", False),
    (faults.lost_reply(), "ConnectionResetError", True),
    (faults.lost_reply(reset=False), "RemoteDisconnected", True),
    (faults.reset_in_request(10), "ConnectionResetError", False),
    (faults.reset_in_head(), "ConnectionResetError", True),
    (faults.stall_unheard(), "TimeoutError", False),
    (faults.stall_unread(10), "TimeoutError", False),
    (faults.stall_reply(), "TimeoutError", True),
    (faults.stall_in_head(), "TimeoutError", True),
]


@pytest.mark.parametrize(("fault", "how", "done"), BROKEN, ids=lambda v: getattr(v, "name", v))
def test_a_put_that_gets_no_reply(
    upstream: Upstream, proxy: FaultProxy, fault: Fault, how: str, done: bool
) -> None:
    proxy.add(Rule("^PUT", fault))
    stalls = fault.name.startswith("stall")
    found = stalled(proxy, "PUT", BODY) if stalls else broken(proxy, "PUT", "/b/k", BODY)
    assert getattr(found, "__name__", found) == how
    assert proxy.fired == {fault.name: 1}
    assert upstream.lines == (["PUT /b/k HTTP/1.1"] if done else [])


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        (faults.reset_in_body(50), "ConnectionResetError"),
        (faults.truncated(50), "IncompleteRead"),
        (faults.torn_off(50), "IncompleteRead"),
        (faults.stall_in_body(50), "TimeoutError"),
        (faults.lying_length(10), "IncompleteRead"),
    ],
    ids=lambda v: getattr(v, "name", v),
)
def test_a_reply_that_does_not_come_whole(proxy: FaultProxy, fault: Fault, how: str) -> None:
    proxy.add(Rule("^GET", fault))
    found = stalled(proxy, "GET") if fault.name.startswith("stall") else broken(proxy)
    assert getattr(found, "__name__", found) == how
    assert proxy.fired == {fault.name: 1}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.latency(0.01, 0.01), BODY),
        (faults.as_chunks(), BODY),
        (faults.old_http(), BODY),
        (faults.drip_reply(pause=0.0, size=100), BODY),
        (faults.lying_length(-10), BODY[:-10]),
        (faults.flipped_reply(50), BODY[:50] + bytes([BODY[50] ^ 0x10]) + BODY[51:]),
        (faults.portal(), b"<html><body>Please accept our terms of use.</body></html>"),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_a_reply_that_comes_otherwise(proxy: FaultProxy, fault: Fault, expected: bytes) -> None:
    proxy.add(Rule("^GET", fault))
    assert ask(proxy)[2] == expected
    assert proxy.fired == {fault.name: 1}
    assert ask(proxy)[2] == BODY


def test_bytes_flip_on_their_way_up_too(upstream: Upstream, proxy: FaultProxy) -> None:
    proxy.add(Rule("^PUT", faults.flipped_request(3)))
    ask(proxy, "PUT", "/b/k", b"abcdefg")
    assert upstream.seen[0][2] == b"abctefg"


def test_a_slow_reader_takes_its_time(upstream: Upstream, proxy: FaultProxy) -> None:
    proxy.add(Rule("^PUT", faults.drip_request(size=1024, pause=0.01)))
    begun = time.monotonic()
    assert ask(proxy, "PUT", "/b/k", BODY)[0] == 200
    assert time.monotonic() - begun > 0.05
    assert upstream.seen[0][2] == BODY


def test_an_early_refusal_does_not_read_the_body(upstream: Upstream, proxy: FaultProxy) -> None:
    proxy.add(Rule("^PUT", faults.refused(503, "SlowDown", early=True)))
    raw = socket.create_connection(("127.0.0.1", proxy.port), 5)
    raw.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegin")
    assert raw.makefile("rb").read().startswith(b"HTTP/1.1 503 ")
    raw.close()
    assert upstream.seen == []


def test_an_error_for_what_was_done(upstream: Upstream, proxy: FaultProxy) -> None:
    proxy.add(Rule("^PUT", faults.done_but(500, "InternalError")))
    status, _, body = ask(proxy, "PUT", "/b/k", b"x")
    assert (status, b"<Code>InternalError</Code>" in body) == (500, True)
    assert len(upstream.seen) == 1


def test_a_write_that_lands_late(upstream: Upstream, proxy: FaultProxy) -> None:
    proxy.add(Rule("^PUT", faults.late(504, 0.1)))
    assert ask(proxy, "PUT", "/b/k", b"first")[0] == 504
    assert upstream.seen == []
    assert proxy.busy
    assert ask(proxy, "PUT", "/b/k", b"second")[0] == 200
    while proxy.busy:
        time.sleep(0.01)
    assert [body for _, _, body in upstream.seen] == [b"second", b"first"]


def test_replies_that_come_twice(proxy: FaultProxy) -> None:
    proxy.add(Rule("^PUT", faults.twice()))
    raw = socket.create_connection(("127.0.0.1", proxy.port), 5)
    raw.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    raw.shutdown(socket.SHUT_WR)
    assert raw.makefile("rb").read().count(b"HTTP/1.1 200 OK") == 2
    raw.close()


def test_interim_replies_come_before_the_reply(proxy: FaultProxy) -> None:
    proxy.add(Rule("^PUT", faults.interim()))
    raw = socket.create_connection(("127.0.0.1", proxy.port), 5)
    raw.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    raw.shutdown(socket.SHUT_WR)
    lines = raw.makefile("rb").read().split(b"\r\n")
    raw.close()
    told = [line.split(b" ")[1] for line in lines if line.startswith(b"HTTP/1.1 ")]
    assert told == [b"100", b"102", b"103", b"200"]


@pytest.mark.parametrize("fault", [faults.closed_after(), faults.reset_next()])
def test_a_kept_connection_that_dies(proxy: FaultProxy, fault: Fault) -> None:
    proxy.add(Rule("^GET", fault))
    connection = asker(proxy)
    connection.request("GET", "/b/k")
    assert connection.getresponse().read() == BODY
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.request("GET", "/b/k")
        connection.getresponse()
    connection.close()
    assert proxy.fired == {fault.name: 1}


def test_deeds_are_done_at_their_moment(upstream: Upstream, proxy: FaultProxy) -> None:
    done: list[int] = []

    def deed() -> None:
        done.append(len(upstream.seen))

    proxy.add(Rule("^GET /before", faults.meanwhile(deed)))
    proxy.add(Rule("^GET /within", faults.meanwhile_in_body(deed, 100)))
    ask(proxy, "GET", "/before")
    ask(proxy, "GET", "/within")
    assert done == [0, 2]


def test_a_limit_of_connections(proxy: FaultProxy) -> None:
    proxy.most_connections = 1
    held = asker(proxy)
    held.request("GET", "/b/k")
    assert held.getresponse().read() == BODY
    assert broken(proxy) is ConnectionResetError
    held.close()
    assert proxy.fired["connection-limit"] == 1


def test_down_refuses_and_up_serves_at_the_same_port(proxy: FaultProxy) -> None:
    port = proxy.port
    assert ask(proxy)[0] == 200
    proxy.down()
    assert broken(proxy) is ConnectionRefusedError
    proxy.up()
    assert ask(proxy)[0] == 200
    assert proxy.port == port


def background(upstream: Upstream, seed: int, ask_one: Callable[[FaultProxy], object]) -> list[str]:
    with FaultProxy(upstream.url) as proxy:
        proxy.background(rate=0.5, kinds=["503", "502", "429"], seed=seed)
        for _ in range(40):
            ask_one(proxy)
        assert 5 < proxy.fired.total() < 35
        assert set(proxy.fired) == {"503", "502", "429"}
        proxy.quiet()
        before = proxy.fired.total()
        ask_one(proxy)
        assert proxy.fired.total() == before
        return [entry.fault for entry in proxy.journal]


def test_random_faults_come_at_their_rate_and_again_from_their_seed(upstream: Upstream) -> None:
    first = background(upstream, 3, lambda proxy: ask(proxy, "PUT"))
    assert background(upstream, 3, lambda proxy: ask(proxy, "PUT")) == first
    assert background(upstream, 4, lambda proxy: ask(proxy, "PUT")) != first


def test_every_random_kind_can_be_asked_for(proxy: FaultProxy) -> None:
    for kind in BACKGROUND:
        proxy.background(rate=1.0, kinds=[kind])
        broken(proxy, "PUT", "/b/k", BODY)
        if kind in {"reset-in-body", "truncated"}:
            broken(proxy, "GET", "/b/k")
    assert set(proxy.fired) == set(BACKGROUND)


def test_nothing_is_spoken_without_the_authority(upstream: Upstream) -> None:
    with FaultProxy(upstream.url, tls=True) as proxy:
        connection = http.client.HTTPSConnection("localhost", proxy.port, timeout=5)
        with pytest.raises(ssl.SSLCertVerificationError):
            connection.request("GET", "/")
        connection.close()
    assert upstream.seen == []
