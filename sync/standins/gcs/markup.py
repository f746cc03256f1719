"""XML in and out, in Cloud Storage's shapes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from sync.standins.gcs.http1 import Reply
from sync.standins.gcs.refusals import Refusal

LIST_XMLNS: Final = "http://doc.s3.amazonaws.com/2006-03-01"
UPLOAD_XMLNS: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_HEAD: Final = "<?xml version='1.0' encoding='UTF-8'?>"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_XML: Final = ("content-type", "application/xml; charset=UTF-8")


def text(name: str, value: object) -> str:
    """An element with text. Control characters become references, as the service sends them."""
    plain = escape(str(value))
    coded = _CONTROL.sub(lambda match: f"&#{ord(match.group())};", plain)
    return f"<{name}>{coded}</{name}>"


def element(name: str, *children: str, xmlns: str = "") -> str:
    """An element with children."""
    space = f' xmlns="{xmlns}"' if xmlns else ""
    return f"<{name}{space}>{''.join(children)}</{name}>"


def document(root: str, *headers: tuple[str, str], status: int = 200) -> Reply:
    """A reply that holds an XML document."""
    body = (_HEAD + root).encode("utf-8", "surrogateescape")
    return Reply(status, [_XML, *headers], body)


def refusal(refused: Refusal) -> Reply:
    """The reply a refusal is sent as."""
    children = [text("Code", refused.code), text("Message", refused.message)]
    if refused.details:
        children.append(text("Details", refused.details))
    children += [text(name, value) for name, value in refused.extra]
    return document(element("Error", *children), *refused.headers, status=refused.status)


def stamp(when: float) -> str:
    """ISO 8601 with milliseconds."""
    moment = datetime.fromtimestamp(when, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def url_coder(encoding_type: str) -> str:
    """Checked value of encoding-type; Refusal for anything but ``url`` or nothing."""
    if encoding_type not in {"", "url"}:
        raise Refusal("InvalidArgument", f"encoding-type {encoding_type!r}")
    return encoding_type


def coded(name: str, encoding_type: str) -> str:
    """A key as a listing shows it."""
    return quote(name, safe="/", errors="surrogateescape") if encoding_type else name


def read(body: bytes, root: str) -> Element:
    """The document's root element; Refusal MalformedXML where it is not one of that name."""
    try:
        found: Element = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError):
        raise Refusal("MalformedXML") from None
    if plain_tag(found) != root:
        raise Refusal("MalformedXML", f"expected {root}")
    return found


def plain_tag(node: Element) -> str:
    """The tag without its namespace."""
    return node.tag.rpartition("}")[2]


def children(node: Element, name: str) -> Iterable[Element]:
    """Children of that name, whatever their namespace."""
    return (child for child in node if plain_tag(child) == name)


def value(node: Element, name: str) -> str:
    """Text of the first child of that name, or ""."""
    return next((child.text or "" for child in children(node, name)), "")
