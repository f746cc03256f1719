"""Heads: writing a request's, reading a reply's, and deciding how long the reply's body is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from sync.errors import RequestRefused
from sync.wire.errors import Broken, operation_of
from sync.wire.request import Request

MAX_HEAD: Final = 64 * 1024
MAX_HEADERS: Final = 200
_NAMES_KEPT: Final = 500
_NAMES: Final[dict[str, str]] = {}
_FIRST_LINES: Final[dict[str, tuple[int, bool]]] = {}
_NOT_HTTP: Final = "the reply is not HTTP ({})"
# RFC 9112, 4: a status line; a reason may be missing, and some leave out the space before it.
_STATUS_LINE: Final = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?", re.ASCII).fullmatch
# The status line, and the empty line at the end, which splits into two.
_NO_HEADERS: Final = 2
_GOOD_NAMES: Final[set[str]] = set()
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII).fullmatch
_BREAKS: Final = re.compile(r"[\r\n\0]").search
_SENDS_A_BODY: Final = frozenset(("PUT", "POST", "PATCH"))


def request_head(request: Request, *, prefix: str, target: str, length: int | None) -> bytes:
    """The request's head, ready to send.

    ``prefix`` is the lines every request to this origin carries; ``length`` the body's, or
    None. RequestRefused where a name or value could not be sent without changing it.
    """
    method = request.method
    if " " in target or not target.isprintable() or not method.isalpha():
        _check_first_line(request)
    try:
        lines = header_lines(request.headers) if request.headers else ""
        if length is None and method in _SENDS_A_BODY:
            length = 0
        said = "" if length is None else f"Content-Length: {length}\r\n"
        text = f"{method} {target} HTTP/1.1\r\n{prefix}{request.lines}{lines}{said}\r\n"
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise _refused(request, "a header holds text that is not latin-1") from error
    except RequestRefused as refused:
        raise _refused(request, str(refused)) from None


def header_lines(pairs: Iterable[tuple[str, str]]) -> str:
    """Headers as they go out, one line each; RequestRefused where one cannot."""
    lines = []
    for name, value in pairs:
        if name not in _GOOD_NAMES:
            _check_name(name)
        lines.append(f"{name}: {value}\r\n")
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise RequestRefused("a header or the target holds a line break or a NUL")
    return text


def _check_name(name: str) -> None:
    if not _TOKEN(name):
        raise RequestRefused(f"{name[:100]!r} is no header name")
    if len(_GOOD_NAMES) < _NAMES_KEPT:
        _GOOD_NAMES.add(name)


def _check_first_line(request: Request) -> None:
    if _BREAKS(request.target) or _BREAKS(request.method):
        raise _refused(request, "a header or the target holds a line break or a NUL")
    if " " in request.target or " " in request.method:
        raise _refused(request, "the target holds a space")


def _refused(request: Request, why: str) -> RequestRefused:
    operation = operation_of(request).encode("unicode_escape").decode("ascii")
    return RequestRefused(f"{operation}: not sent: {why}", operation=operation)


class ReplyHead:
    """A reply's status line and headers, and how its body is framed.

    ``length`` is the body's in bytes, None where it is ``chunked`` or ends with the connection.
    """

    __slots__ = ("chunked", "headers", "keep_alive", "length", "status")

    def __init__(self, raw: bytes, method: str) -> None:
        """``raw`` ends with its empty line. Broken where it is no HTTP/1 reply."""
        text = raw.decode("latin-1")
        lines = text.split("\r\n")
        breaks = len(lines) - 1
        if breaks > MAX_HEADERS + _NO_HEADERS:
            raise Broken(f"the reply has more than {MAX_HEADERS} headers")
        if raw.count(b"\n") != breaks or raw.count(b"\r") != breaks or b"\0" in raw:
            raise Broken(_NOT_HTTP.format("a line break or a NUL within a line"))
        self.status, keep_alive = _FIRST_LINES.get(lines[0]) or _first_line(lines[0])
        self.headers = headers = _headers(lines)
        self.chunked = False
        self.length: int | None = None
        said = headers.get("connection")
        if said is not None:
            said = said.lower()
            keep_alive = "close" not in said if keep_alive else "keep-alive" in said
        self.keep_alive = keep_alive
        length = headers.get("content-length")
        coding = headers.get("transfer-encoding")
        if method == "HEAD" or _has_no_body(method, self.status):
            self.length = 0
        elif coding is not None:
            self._frame_chunked(coding, length)
        elif length is not None:
            self.length = _length(length)

    def _frame_chunked(self, coding: str, length: str | None) -> None:
        # RFC 9112, 6.3: a reply with both is a sign of smuggling.
        if coding.lower() != "chunked" or length is not None:
            raise Broken(f"the reply's framing is not understood (Transfer-Encoding: {coding!r})")
        self.chunked = True


def _first_line(line: str) -> tuple[int, bool]:
    """Status, and whether the connection stays open where nothing else is said."""
    match = _STATUS_LINE(line)
    if match is None:
        raise Broken(_NOT_HTTP.format(f"it begins with {line[:40]!r}"))
    found = int(match[2]), match[1] == "1"
    if len(_FIRST_LINES) < _NAMES_KEPT:
        _FIRST_LINES[line] = found
    return found


def _headers(lines: list[str]) -> dict[str, str]:
    """By lower-case name; repeated ones are joined by ``, ``."""
    names = _NAMES
    headers: dict[str, str] = {}
    for line in islice(lines, 1, len(lines) - 2):
        name, colon, value = line.partition(":")
        key = names.get(name) or _name(name)
        if not colon:
            raise Broken(_NOT_HTTP.format(f"a header without a colon, {line[:40]!r}"))
        value = value.strip(" \t")
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _name(name: str) -> str:
    if not _TOKEN(name):
        raise Broken(_NOT_HTTP.format(f"{name[:40]!r} is no header name"))
    lower = name.lower()
    # Stores use few names; those of user metadata must not make this grow without end.
    if len(_NAMES) < _NAMES_KEPT:
        _NAMES[name] = lower
    return lower


def _has_no_body(method: str, status: int) -> bool:
    """RFC 9112, 6.3, cases 1 and 2; HEAD is the caller's."""
    if status < 200 or status in (204, 304):  # noqa: PLR2004  see above
        return True
    return method == "CONNECT" and status < 300  # noqa: PLR2004  what follows is the tunnel


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004  fits in 63 bits
        raise Broken(f"the reply's Content-Length is {text[:40]!r}")
    return int(text)
