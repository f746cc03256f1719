"""A page of a bucket's listing, read without an element for each of its thousand entries. Pure.

One regular expression takes the entries apart, and whatever is the same work for each of them is
done for all at once. It takes pages of the shape that stores send: elements without attributes,
with one more level below those that are not asked for. Every byte of a page is accounted for,
so nothing is skipped; a page with anything unusual in it goes to `s3_xml.parse_objects`, whose
answer to every page is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import repeat
from operator import sub
from typing import Final, cast
from urllib.parse import unquote_plus

from sync.adapters.s3_xml import XmlFault, parse_frame, parse_objects, timestamp, unquoted
from sync.model import ListedObject
from sync.ports import ListingPage

_FIRST: Final = b"<Contents>"
_LAST: Final = b"</Contents>"
# What is not looked at again may hold nothing that XML gives a meaning to, or has no place for.
_PARTS: Final = {b"text": rb"[\t\n\x20!-%'-;=?-~]*", b"gap": rb"[\t\n\x20]*"}
_IN_ORDER: Final = rb"""
<Contents><Key>([^<]*)</Key>
(?:<Generation>%(text)s</Generation><MetaGeneration>%(text)s</MetaGeneration>)?
<LastModified>([^<]*)</LastModified><ETag>([^<]*)</ETag>
(?:<ChecksumAlgorithm>%(text)s</ChecksumAlgorithm><ChecksumType>%(text)s</ChecksumType>)?
<Size>([0-9]{1,18})</Size>
(?:<Owner><ID>%(text)s</ID>(?:<DisplayName>%(text)s</DisplayName>)?</Owner>)?
(?:<StorageClass>([^<]*)</StorageClass>)?
</Contents>|(.+)"""
_IN_ANY_ORDER: Final = rb"""
<Contents>(?:%(gap)s<(?:
  Key>([^<]*)</Key
 |LastModified>([^<]*)</LastModified
 |ETag>([^<]*)</ETag
 |Size>([0-9]{1,18})</Size
 |StorageClass>([^<]*)</StorageClass
 |(?!(?:Key|LastModified|ETag|Size|StorageClass)>)
  ([A-Za-z]+)>(?:%(text)s|(?:%(gap)s<([A-Za-z]+)>%(text)s</\7>)+%(gap)s)</\6
)>)*%(gap)s</Contents>%(gap)s|(.+)"""
_SHAPES: Final = tuple(
    re.compile(shape % _PARTS, re.DOTALL | re.VERBOSE) for shape in (_IN_ORDER, _IN_ANY_ORDER)
)
_OTHER_ENCODING: Final = re.compile(rb"\s*<\?xml\s[^>]*encoding\s*=\s*(?!['\"](?i:utf-8)['\"])")
_FORBIDDEN: Final = bytes({*range(0x20)} - {0x09, 0x0A})  # a CR would be read as a newline
_REFERENCE: Final = re.compile("&(?:([^&;]*);)?")
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_REFERENCES: Final = _NAMED | {
    form.format(ord(char)): char for char in "\t\n\r\"&'<>" for form in ("#{}", "#x{:X}")
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_listed: Final = cast(
    "Callable[[Sequence[object]], ListedObject]", partial(tuple.__new__, ListedObject)
)


class _UnusualError(Exception):
    """Not for here."""


def parse_page(body: bytes) -> ListingPage:
    """One page of a bucket's objects. XmlFault where it is no such page."""
    try:
        return usual_page(body)
    except (_UnusualError, XmlFault, UnicodeDecodeError):
        return parse_objects(body)


def usual_page(body: bytes) -> ListingPage:
    """The same of the usual pages alone; an exception of any kind for others."""
    first, end = body.find(_FIRST), body.rfind(_LAST) + len(_LAST)
    if first < 0 or end < first or _OTHER_ENCODING.match(body):
        raise _UnusualError
    token, encoded = parse_frame(b"%b<Contents/>%b" % (body[:first], body[end:]))
    keys, dates, etags, sizes, classes = _entries(body, first, end)
    columns = zip(
        _keys(keys, encoded=encoded),
        map(int, sizes),
        _etags(etags),
        _times(dates),
        _classes(classes),
        repeat(None),
        repeat(None),
        strict=False,
    )
    return ListingPage(tuple(map(_listed, columns)), token)


def _entries(body: bytes, first: int, end: int) -> Sequence[Sequence[bytes]]:
    """The five texts of each entry: a sequence of each text."""
    for shape in _SHAPES:
        columns = tuple(zip(*shape.findall(body, first, end), strict=True))
        if not any(columns[-1]):
            if b"" in columns[0] or b"" in columns[3]:
                break
            return columns[:5]
    raise _UnusualError


def _lines(texts: Sequence[bytes]) -> str:
    """All of them as one text, a line each, where XML may hold them."""
    joined = b"\n".join(texts)
    if len(joined.translate(None, _FORBIDDEN)) != len(joined):
        raise _UnusualError
    text = joined.decode()
    if "\ufffe" in text or "\uffff" in text or ("]" in text and "]]>" in text):
        raise _UnusualError
    return text


def _split(lines: str, count: int) -> list[str]:
    found = lines.split("\n")
    if len(found) != count:
        raise _UnusualError
    return found


def _keys(keys: Sequence[bytes], *, encoded: bool) -> Iterable[str]:
    lines = _lines(keys)
    if "&" in lines:
        lines = _without_references(lines)
    if encoded:
        # An encoded slash is most of what there is to decode, where a store encodes it.
        lines = unquote_plus(lines.replace("%2F", "/"), errors="strict")
    return _split(lines, len(keys))


def _etags(etags: Sequence[bytes]) -> Iterable[str]:
    lines = _lines(etags)
    quoted = lines.replace("&quot;", '"')
    if "&" in quoted:
        quoted = quoted.replace("&#34;", '"')
    found = quoted[1:-1].split('"\n"')
    whole = quoted.startswith('"') and quoted.endswith('"') and "&" not in quoted
    if whole and quoted.count('"') == 2 * len(found) == 2 * len(etags):
        return found
    return [unquoted(_without_references(line)) for line in _split(lines, len(etags))]


def _times(dates: Sequence[bytes]) -> Iterable[float]:
    lines = _lines(dates)
    if "&" in lines:
        raise _UnusualError
    texts = _split(lines, len(dates))
    try:
        # Without a time zone there is no difference to be had: TypeError.
        since = map(sub, map(datetime.fromisoformat, texts), repeat(_EPOCH))
        return list(map(timedelta.total_seconds, since))
    except (TypeError, ValueError):
        return map(timestamp, texts)


def _classes(classes: Sequence[bytes]) -> Iterator[str]:
    """One text for all objects of a class."""
    known = {name: _without_references(_lines([name])) or "STANDARD" for name in set(classes)}
    return map(known.__getitem__, classes)


def _without_references(text: str) -> str:
    try:
        return _REFERENCE.sub(lambda found: _REFERENCES[found[1]], text)
    except KeyError as error:
        raise _UnusualError from error
