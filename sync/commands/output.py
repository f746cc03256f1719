"""What verbs print."""

from __future__ import annotations

import json
import sys


def json_line(value: object) -> str:
    """Readable where the terminal can show it; a key may hold what no encoding has."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return text
