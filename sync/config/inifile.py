"""Reads ini text the way its users write it, and reports every line that makes no sense.

Accepted: a byte-order mark, CRLF, ``#`` and ``;`` lines, remarks after a value (a ``#`` or ``;``
with white space before it), values in quotes, ``=`` or ``:``, section and option names in any
case, values continued on an indented line. A ``%`` is a ``%``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from sync.config.keys import BY_NAME, SECTIONS, Key
from sync.config.settings import Given

_SECTION: Final = re.compile(r"\[([^\]]*)\]\s*([#;].*)?")
_OPTION: Final = re.compile(r"([^\s=:\[][^=:]*)[=:](.*)")
_REMARK: Final = re.compile(r"(^|\s)[#;].*")
_QUOTED: Final = re.compile(r"""(["'])(?P<inner>.*?)\1\s*([#;].*)?""")


@dataclass(slots=True)
class Parsed:
    """What an ini text gave: values by key name, and faults."""

    given: dict[str, Given] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def parse(data: bytes, name: str) -> Parsed:
    """Read the file's bytes; ``name`` is what faults call the file."""
    parsed = Parsed()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        parsed.faults.append(f"{name}:{line}: not UTF-8; save the file as UTF-8")
        return parsed
    if "\0" in text:
        parsed.faults.append(f"{name}: holds NUL characters; save the file as UTF-8 text")
        return parsed
    _Reader(name, parsed).read(text)
    return parsed


def clean_value(text: str) -> str:
    """A value without its remark and quotes."""
    text = text.strip()
    if quoted := _QUOTED.fullmatch(text):
        return quoted["inner"]
    return _REMARK.sub("", text).strip()


def nearest(name: str) -> str:
    """Words that name the known key nearest to that, or "" where none is near."""
    found = get_close_matches(name.lower(), BY_NAME, n=1, cutoff=0.6)
    return (
        f"; did you mean [{BY_NAME[found[0]].section}] {BY_NAME[found[0]].name}?" if found else ""
    )


class _Reader:
    """Walks over the lines; knows the section and the last option."""

    def __init__(self, name: str, parsed: Parsed) -> None:
        self._name = name
        self._parsed = parsed
        self._section: str | None = ""
        self._last: Key | None = None
        self._unknown = False

    def read(self, text: str) -> None:
        for number, line in self._lines(text):
            self._line(f"{self._name}:{number}", line)

    def _lines(self, text: str) -> Iterator[tuple[int, str]]:
        # Not splitlines(): it also cuts at characters that may stand inside a value.
        for number, raw in enumerate(text.split("\n"), 1):
            line = raw.rstrip()
            if line.strip() and line.lstrip()[0] not in "#;":
                yield number, line

    def _line(self, where: str, line: str) -> None:
        indented, body = line[0].isspace(), line.strip()
        option = _OPTION.fullmatch(body)
        if section := _SECTION.fullmatch(body):
            self._begin(where, section[1].strip())
        elif indented and self._last and not self._names_key(option):
            self._continue(self._last, body)
        elif option:
            self._option(where, option[1].rstrip(), option[2])
        elif not (indented and self._unknown):
            self._fault(f"{where}: neither [section] nor key = value; remark lines begin with #")

    def _begin(self, where: str, name: str) -> None:
        self._last, self._unknown = None, False
        self._section = next((s for s in SECTIONS if s.lower() == name.lower()), None)
        if self._section is None:
            self._unknown = True
            self._fault(f"{where}: unknown section [{name}]{_nearest_section(name)}")

    def _option(self, where: str, name: str, text: str) -> None:
        self._last, self._unknown = None, True
        if self._section is None:
            return  # the section's own fault says it all
        key = BY_NAME.get(name.lower())
        if key is None:
            self._fault(f"{where}: unknown key {name}{nearest(name)}")
        elif key.section != self._section:
            place = f"in [{self._section}]" if self._section else "before any [section]"
            self._fault(f"{where}: {key.name} stands {place}; move it to [{key.section}]")
        elif earlier := self._parsed.given.get(key.name):
            self._fault(f"{where}: {key.name} is given twice, first at {earlier.where}; keep one")
        else:
            self._parsed.given[key.name] = Given(clean_value(text), where)
            self._last, self._unknown = key, False

    def _continue(self, key: Key, body: str) -> None:
        given = self._parsed.given[key.name]
        self._parsed.given[key.name] = Given(f"{given.text} {clean_value(body)}", given.where)

    def _names_key(self, option: re.Match[str] | None) -> bool:
        return option is not None and "=" in option[0] and option[1].rstrip().lower() in BY_NAME

    def _fault(self, text: str) -> None:
        self._parsed.faults.append(text)


def _nearest_section(name: str) -> str:
    found = get_close_matches(name.capitalize(), SECTIONS, n=1, cutoff=0.5)
    known = ", ".join(f"[{section}]" for section in SECTIONS)
    return f"; did you mean [{found[0]}]?" if found else f"; known are {known}"
