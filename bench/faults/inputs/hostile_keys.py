"""Names of objects that have hurt somebody's program: made here, in the spirit of the public lists
of naughty strings. Every one is text that UTF-8 can write; a few are above what a store allows.
"""

# ruff: noqa: E501, Q003, RUF001  odd characters in rows are what this is

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MOST_BYTES: Final = 1024

_PATHS: Final = (
    ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "a/../../b", "...", ".hidden",
    "/", "//", "///", "/a", "//a", "a/", "a//", "a//b", "a///b", "/a/", "~", "~root", "a/~/b",
    "C:\\Windows\\x", "..\\..\\x", "\\\\server\\share", "con", "nul.txt", "a:b", "-rf", "--",
    ".well-known/acme-challenge/token", ".well-known/acme-challenge/", ".well-known/other",
)  # fmt: skip
_ENCODINGS: Final = (
    "%", "%%", "%2F", "%2f", "a%2Fb", "%00", "%0A", "%25", "%252F", "%zz", "%u0041", "%C3%BC", "%FF",
    "100%", "+", "a+b", "a b", "a%20b", "a+%2B b", "++", " ", "  ", " a", "a ", " / ", "a\u00a0b",
    "a&b=c", "?", "a?b", "?versionId=x", "#", "a#b", "a;b", "a,b", "a=b", "a@b", "a$b", "a!b'()*",
    "a|b", "a^b", "`a`", "[a]", "{a}", "<a>", "a~b_c-d.e", "a:b:c", "&amp;", "&#x41;", "&lt;", "&;",
)  # fmt: skip
_QUERIES: Final = ("uploads", "acl", "?uploads", "?delete", "a?partNumber=1&uploadId=x", "versions")
_CODE: Final = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)",
    "' OR 1=1 --", "'; DROP TABLE objects; --", "$(touch x)", "`id`", "| id", "; id", "&& id",
    "${HOME}", "$HOME", "{0}", "{}", "{__class__}", "%s%n%d%x", "%(name)s", "{{7*7}}", "${7*7}",
    "]]>", "<![CDATA[a]]>", "<!-- a -->", "<!DOCTYPE a>", "<Key>a</Key>", "</Contents>",
    '{"key": "a"}', '"', "'", '""', "''", "\\", "\\\\", "\\n", "\\u0000", "\\x00", "null", "None",
    "true", "undefined", "NaN", "Infinity", "0", "-1", "1e999", "__proto__", "*", "**", "a*b?[c]",
    "a\x1b[31mb", "() { :; }; id", "../../etc/passwd", "file:///etc/passwd", "http://a/b", "=1+1",
)  # fmt: skip
_UNICODE: Final = (
    "ü", "u\u0308", "é", "e\u0301", "ß", "İ", "ı", "ﬁ", "Ω", "Ω", "日本/語", "한국", "العربية",
    "\u202eabc\u202c", "\u200b", "a\u200bb", "\ufeff", "\ufeffa", "a\u2028b", "a\u2029b", "a\u0085b",
    "\U0001f600", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "Z̷̡̛a̸l̵g̶o̷", "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000",
    "\ud7ff", "𐍈", "ｆｕｌｌ", "⁄", "∕", "․․/", "．．/", "%e2%80%ae", "\U000e0041", "a\u00adb",
)  # fmt: skip
_CONTROLS: Final = tuple(f"c\\{code:02x}" + chr(code) for code in (*range(0x20), 0x7F, 0x80, 0x9F))
_BREAKS: Final = ("a\r\nb", "a\nb", "\n", "\r", "a\r\nX-Evil: 1\r\n\r\n", "a\tb", "\t", "a\0", "\0")


def _long() -> Iterator[str]:
    yield "a" * MOST_BYTES
    yield "ü" * (MOST_BYTES // 2)
    yield "😀" * (MOST_BYTES // 4)
    yield "/" * 200
    yield "a/" * (MOST_BYTES // 2)
    yield "%" * MOST_BYTES
    yield " " * 300
    yield "a" * 255 + "/" + "b" * 256
    yield "a" * (MOST_BYTES + 1)
    yield "ü" * (MOST_BYTES // 2) + "a"


def hostile_keys() -> list[str]:
    """All of them, each once, in no special order."""
    groups = (_PATHS, _ENCODINGS, _QUERIES, _CODE, _UNICODE, _CONTROLS, _BREAKS, _long())
    return list(dict.fromkeys(key for group in groups for key in group))


def few(keys: list[str], count: int) -> list[str]:
    """That many of them, from all over the list."""
    return [keys[at * len(keys) // count] for at in range(count)]
