"""Files of environment variables: ``NAME=value`` lines, as .env files are written."""

from __future__ import annotations

import re
from typing import Final

from sync.errors import ConfigError

_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_REMARK: Final = re.compile(r"\s+#.*$")


def parse_env(text: str, name: str) -> dict[str, str]:
    """The variables. ConfigError names the line that is none, without showing it."""
    found = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(f"{name}:{number}: not NAME=value; remark lines begin with #")
        found[match[1]] = _value(match[2].strip())
    return found


def _value(text: str) -> str:
    if len(text) > 1 and text[0] in "\"'" and text[0] in text[1:]:
        return text[1 : text.index(text[0], 1)]
    return _REMARK.sub("", text)
