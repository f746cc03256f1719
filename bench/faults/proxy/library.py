"""The faults: what networks, balancers, stores and queues have been seen to do to a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from faults.proxy.exchange import Exchange, head_of
from faults.proxy.heads import Head
from faults.proxy.rules import Fault
from faults.proxy.taps import cut_after, flipped, paced, wait_after

_FOREVER: Final = 600.0


def _named(name: str) -> Callable[[Callable[[Exchange], Awaitable[None]]], Fault]:
    return lambda play: Fault(name, play)


# --- time ---------------------------------------------------------------------------------


def latency(before: float = 0.2, after: float = 0.2) -> Fault:
    """The request and its reply take their time."""

    @_named("latency")
    async def fault(x: Exchange) -> None:
        await asyncio.sleep(before)
        await x.forward()
        await x.reply()
        x.strike()
        await asyncio.sleep(after)
        await x.deliver()

    return fault


def stall_unheard(seconds: float = _FOREVER) -> Fault:
    """The request is read, goes nowhere, and nothing comes back."""

    @_named("stall-unheard")
    async def fault(x: Exchange) -> None:
        await x.take()
        x.strike()
        await asyncio.sleep(seconds)
        raise x.end()

    return fault


def stall_unread(after: int = 100_000, seconds: float = _FOREVER) -> Fault:
    """After so many bytes of the request's body nothing more is read."""

    @_named("stall-unread")
    async def fault(x: Exchange) -> None:
        await x.forward(wait_after(x, after, lambda: asyncio.sleep(seconds)))
        await x.deliver()

    return fault


def stall_reply(seconds: float = _FOREVER) -> Fault:
    """The server has done it, and its reply is held back."""

    @_named("stall-reply")
    async def fault(x: Exchange) -> None:
        await x.forward()
        await x.swallow()
        x.strike()
        await asyncio.sleep(seconds)
        raise x.end()

    return fault


def stall_in_head(seconds: float = _FOREVER) -> Fault:
    """Half of the reply's head comes, and no more."""

    @_named("stall-in-head")
    async def fault(x: Exchange) -> None:
        await x.forward()
        head = await x.reply()
        x.strike()
        await x.client.send(head.raw[: len(head.raw) // 2])
        await asyncio.sleep(seconds)
        raise x.end()

    return fault


def stall_in_body(after: int = 100, seconds: float = _FOREVER) -> Fault:
    """So many bytes of the reply's body come, and no more for so long."""

    @_named("stall-in-body")
    async def fault(x: Exchange) -> None:
        await x.forward()
        await x.deliver(wait_after(x, after, lambda: asyncio.sleep(seconds)))

    return fault


def drip_reply(pause: float = 0.01, size: int = 1, until: int = 1 << 62) -> Fault:
    """The reply comes by single bytes, head and all."""

    @_named("drip-reply")
    async def fault(x: Exchange) -> None:
        await x.forward()
        head = await x.reply()
        x.strike()
        for at in range(0, len(head.raw), size):
            await x.client.send(head.raw[at : at + size])
            await asyncio.sleep(pause)
        await x.deliver(paced(x, size, pause, until=until), head=_nothing(head))

    return fault


def drip_request(size: int = 1024, pause: float = 0.005, until: int = 1 << 62) -> Fault:
    """The request's body is read a little at a time."""

    @_named("drip-request")
    async def fault(x: Exchange) -> None:
        await x.forward(paced(x, size, pause, until=until))
        await x.deliver()

    return fault


# --- connections that end -----------------------------------------------------------------


def reset_unheard() -> Fault:
    """Reset as soon as the head of the request is there."""

    @_named("reset-unheard")
    async def fault(x: Exchange) -> None:
        x.strike()
        raise x.reset()

    return fault


def reset_in_request(after: int = 100_000) -> Fault:
    """Reset within the request's body; the server has its beginning."""

    @_named("reset-in-request")
    async def fault(x: Exchange) -> None:
        await x.forward(cut_after(x, after, reset=True))
        await x.deliver()

    return fault


def lost_request() -> Fault:
    """The request is read in full and lost: the server hears nothing, the connection resets."""

    @_named("lost-request")
    async def fault(x: Exchange) -> None:
        await x.take()
        x.strike()
        raise x.reset()

    return fault


def lost_reply(*, reset: bool = True) -> Fault:
    """The server has done it; the connection ends before a byte of its reply."""

    @_named("lost-reply")
    async def fault(x: Exchange) -> None:
        await x.forward()
        await x.swallow()
        x.strike()
        raise x.reset() if reset else x.end()

    return fault


def reset_in_head() -> Fault:
    """Reset within the reply's head."""

    @_named("reset-in-head")
    async def fault(x: Exchange) -> None:
        await x.forward()
        head, _ = await x.swallow()
        x.strike()
        await x.client.send(head.raw[: len(head.raw) // 2])
        await asyncio.sleep(0.01)
        raise x.reset()

    return fault


def reset_in_body(after: int = 100) -> Fault:
    """Reset within the reply's body."""

    @_named("reset-in-body")
    async def fault(x: Exchange) -> None:
        await x.forward()
        await x.deliver(cut_after(x, after, reset=True))

    return fault


def truncated(after: int = 100) -> Fault:
    """The reply's body ends early, by a connection that is closed in good order."""

    @_named("truncated")
    async def fault(x: Exchange) -> None:
        await x.forward()
        await x.deliver(cut_after(x, after, reset=False))

    return fault


def torn_off(after: int = 100) -> Fault:
    """The reply's body ends early by a bare FIN: under TLS, one that anybody could have sent."""

    @_named("torn-off")
    async def fault(x: Exchange) -> None:
        async def tear() -> None:
            x.client.half_close()
            await asyncio.sleep(0.2)
            raise x.reset()

        await x.forward()
        await x.deliver(wait_after(x, after, tear))

    return fault


def closed_after(pause: float = 0.0) -> Fault:
    """The reply promises to keep the connection, which is half-closed right after it."""

    @_named("closed-after")
    async def fault(x: Exchange) -> None:
        await x.forward()
        x.strike()
        await x.deliver()
        await asyncio.sleep(pause)
        x.client.half_close()
        # What comes now was sent on a connection that was thought good.
        await x.client.reader.read()
        raise x.end()

    return fault


def reset_next(pause: float = 0.0) -> Fault:
    """The connection stays open, and is reset by the first byte of the next request."""

    @_named("reset-next")
    async def fault(x: Exchange) -> None:
        await x.forward()
        x.strike()
        await x.deliver()
        await asyncio.sleep(pause)
        await x.client.reader.read(1)
        raise x.reset()

    return fault


# --- bytes that differ --------------------------------------------------------------------


def flipped_request(offset: int = 50) -> Fault:
    """A bit of the request's body flips on the way."""

    @_named("flipped-request")
    async def fault(x: Exchange) -> None:
        await x.forward(flipped(x, offset))
        await x.deliver()

    return fault


def flipped_reply(offset: int = 50) -> Fault:
    """A bit of the reply's body flips on the way."""

    @_named("flipped-reply")
    async def fault(x: Exchange) -> None:
        await x.forward()
        await x.deliver(flipped(x, offset))

    return fault


def retold(name: str, change: Callable[[Head], Head]) -> Fault:
    """The reply's head is another one, its body is as it was."""

    @_named(name)
    async def fault(x: Exchange) -> None:
        await x.forward()
        head = await x.reply()
        told = change(head)
        if told.raw != head.raw:
            x.strike()
        x.ends = x.ends or told.closes
        await x.deliver(head=told)

    return fault


def lying_length(more: int) -> Fault:
    """Content-Length is wrong by so much; where it is too much the connection then ends."""

    @_named("length-too-long" if more > 0 else "length-too-short")
    async def fault(x: Exchange) -> None:
        await x.forward()
        head = await x.reply()
        if not head.length or head.length + more < 0:
            await x.deliver()
            return
        x.strike()
        x.ends = x.ends or more > 0
        await x.deliver(head=head.replaced("Content-Length", str(head.length + more)))

    return fault


def as_chunks() -> Fault:
    """A middle-box has taken Content-Length away and sends the body in chunks."""

    @_named("as-chunks")
    async def fault(x: Exchange) -> None:
        await x.forward()
        head, body = await x.swallow()
        x.strike()
        chunked = head.replaced("Content-Length", None).replaced("Transfer-Encoding", "chunked")
        steps = (body[at : at + 7000] for at in range(0, len(body), 7000))
        framed = b"".join(b"%x\r\n%s\r\n" % (len(step), step) for step in steps)
        await x.client.send(chunked.raw + framed + b"0\r\n\r\n")

    return fault


def old_http() -> Fault:
    """The reply is one of HTTP/1.0: no length, the connection's end is the body's."""

    @_named("old-http")
    async def fault(x: Exchange) -> None:
        await x.forward()
        head, body = await x.swallow()
        x.strike()
        start = head.start.replace("HTTP/1.1", "HTTP/1.0")
        bare = head.replaced("Content-Length", None).replaced("Connection", None).started(start)
        await x.client.send(bare.raw + body)
        raise x.end()

    return fault


def interim() -> Fault:
    """100 Continue that nobody waits for, 102 and 103 before the reply."""

    @_named("interim")
    async def fault(x: Exchange) -> None:
        await x.client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await x.forward()
        await x.reply()
        x.strike()
        await x.client.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await x.client.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        await x.deliver()

    return fault


def twice(pause: float = 0.0) -> Fault:
    """The reply comes twice."""

    @_named("twice")
    async def fault(x: Exchange) -> None:
        await x.forward()
        head, body = await x.swallow()
        told = head.raw + (b"" if x.head.method == "HEAD" else body)
        x.strike()
        if pause:
            await x.say(told, head.status)
            await asyncio.sleep(pause)
            await x.client.send(told)
        else:
            await x.say(told + told, head.status)
        x.entry.answered = True

    return fault


# --- refusals -----------------------------------------------------------------------------


def refused(
    status: int,
    code: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    name: str = "",
    early: bool = False,
    text: str = "by the fault proxy",
) -> Fault:
    """The server hears nothing; the reply is an error of the service's own form.

    ``early``: it comes before the request's body has been read, and the connection ends.
    """

    @_named(name or f"{status}-{code}".rstrip("-"))
    async def fault(x: Exchange) -> None:
        head, body = error_reply(x.head, status, code, headers or {}, text)
        x.strike()
        if early:
            await x.client.send(head.replaced("Connection", "close").raw + body)
            raise x.end()
        await x.answer(head, body)

    return fault


def done_but(status: int, code: str = "", *, name: str = "") -> Fault:
    """The server has done it; the reply is an error."""

    @_named(name or f"done-but-{status}")
    async def fault(x: Exchange) -> None:
        await x.forward()
        await x.swallow()
        x.strike()
        await x.answer(*error_reply(x.head, status, code, {}, "done all the same"))

    return fault


def late(status: int, seconds: float, *, code: str = "") -> Fault:
    """A gateway gives up on the request at once, and the server does it later all the same."""

    @_named(f"{status}-and-lands-late")
    async def fault(x: Exchange) -> None:
        body = await x.take()
        x.strike()

        async def land() -> None:
            await asyncio.sleep(seconds)
            await x.replay(body)

        x.beside(land())
        await x.answer(*error_reply(x.head, status, code, {}, "gave up"))

    return fault


def portal() -> Fault:
    """Something between answers 200 with a page of its own."""

    @_named("portal")
    async def fault(x: Exchange) -> None:
        page = b"<html><body>Please accept our terms of use.</body></html>"
        x.strike()
        await x.answer(head_of(200, "OK", {"Content-Type": "text/html"}, len(page)), page)

    return fault


def meanwhile(deed: Callable[[], object], *, then: Fault | None = None) -> Fault:
    """``deed`` is done before the request goes on."""

    @_named("meanwhile")
    async def fault(x: Exchange) -> None:
        await asyncio.to_thread(deed)
        x.strike()
        if then is not None:
            await then.play(x)
            return
        await x.forward()
        await x.deliver()

    return fault


def meanwhile_in_body(deed: Callable[[], object], after: int = 1000) -> Fault:
    """``deed`` is done when so many bytes of the reply's body have passed."""

    @_named("meanwhile-in-body")
    async def fault(x: Exchange) -> None:
        await x.forward()
        await x.deliver(wait_after(x, after, lambda: _in_thread(deed)))

    return fault


def only(fits: Callable[[Head], bool], fault: Fault) -> Fault:
    """The fault, where the request is one that it can be judged by."""

    @_named(fault.name)
    async def guarded(x: Exchange) -> None:
        if fits(x.head):
            await fault.play(x)
            return
        await x.forward()
        await x.deliver()

    return guarded


async def _in_thread(deed: Callable[[], object]) -> None:
    await asyncio.to_thread(deed)


def error_reply(
    asked: Head, status: int, code: str, headers: Mapping[str, str], text: str
) -> tuple[Head, bytes]:
    """An error as SQS and DynamoDB tell it, as S3 does, or as a gateway where there is no code."""
    if asked.operation:
        kind = "application/x-amz-json-1.0"
        body = json.dumps({"__type": f"com.amazonaws#{code}", "message": text}).encode()
    elif code:
        kind = "application/xml"
        inner = f"<Code>{code}</Code><Message>{text}</Message><RequestId>F00</RequestId>"
        body = f"<?xml version='1.0' encoding='UTF-8'?>\n<Error>{inner}</Error>".encode()
    else:
        kind, body = "text/html", f"<html><h1>{status} {text}</h1></html>".encode()
    return head_of(status, "Refused", {"Content-Type": kind, **headers}, len(body)), body


def _nothing(head: Head) -> Head:
    return Head(b"", head.start, head.headers)


BACKGROUND: Final[Mapping[str, Fault]] = {
    "latency": latency(),
    "reset-unheard": reset_unheard(),
    "lost-request": lost_request(),
    "lost-reply": lost_reply(),
    "reset-in-head": reset_in_head(),
    "reset-in-body": reset_in_body(20),
    "truncated": truncated(20),
    "closed-after": closed_after(),
    "reset-next": reset_next(),
    "500": refused(500, "InternalError", name="500"),
    "502": refused(502, name="502"),
    "503": refused(503, "SlowDown", name="503"),
    "429": refused(429, "TooManyRequests", name="429"),
    "early-503": refused(503, "SlowDown", early=True, name="early-503"),
    "interim": interim(),
    # A queue's answer that is taken for the next one's gives the same messages out again.
    "twice": only(lambda head: not head.operation, twice()),
    "drip-reply": drip_reply(pause=0.002, size=40),
    # moto proves no request of the queue's, as AWS does.
    "flipped-request": only(lambda head: head.method == "PUT", flipped_request()),
}
"""What random faults are drawn from, by name."""
