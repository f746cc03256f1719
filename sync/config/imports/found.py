"""What an import found: keys of config.ini, and a line on each thing that was there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sync.config.keys import BY_NAME, KEYS, SECTIONS
from sync.config.texts import quoted

_HEAD: Final = """\
# Made by "3gsync config import" from {source}.
# "3gsync config check" finds what is still missing; config.ini of 3GSync explains every key.
"""
_SECRET: Final = ("access_key", "secret", "password", "token")


@dataclass(slots=True)
class Import:
    """``values`` by the keys' names. ``taken``, ``left`` and ``todo`` are lines for people:
    what became a key, what has no counterpart and why, and what is for the operator to do.
    """

    source: str
    values: dict[str, str] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)

    def take(self, what: str, key: str, value: str) -> None:
        """``what`` becomes this key."""
        name = BY_NAME[key.lower()].name
        self.values[name] = value
        self.taken.append(f"{what} -> {name} = {value}".rstrip())

    def leave(self, what: str, why: str) -> None:
        """``what`` has no counterpart."""
        self.left.append(f"{what}: {why}")

    def text(self) -> str:
        """The config.ini."""
        blocks = [_HEAD.format(source=self.source)]
        for section in SECTIONS:
            lines = [
                f"{key.name} = {quoted(self.values[key.name])}".rstrip()
                for key in KEYS
                if key.section == section and key.name in self.values
            ]
            if lines:
                blocks.append("\n".join([f"[{section}]", *lines, ""]))
        return "\n".join(blocks)

    def report(self) -> Mapping[str, object]:
        """For machines."""
        return {
            "source": self.source,
            "values": self.values,
            "taken": self.taken,
            "left": self.left,
            "todo": self.todo,
        }


def is_secret(name: str) -> bool:
    """True where a setting of that name holds something that must not be shown."""
    return any(part in name.lower() for part in _SECRET)
