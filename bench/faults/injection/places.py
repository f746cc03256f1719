"""Where on an object's way a fault can strike, and plans of one fault at one place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from faults.injection.scene import Plan, Scene
from faults.proxy import Fault


class Place(NamedTuple):
    """Requests of one kind: which side, whether it takes a large object, which lines."""

    side: str
    large: bool
    pattern: str


_PARTS: Final = ((1, 0), (2, 5 << 20), (3, 10 << 20))
PLACES: Final[dict[str, Place]] = {
    "get": Place("source", False, "^GET {k} by"),
    "current": Place("source", False, "^HEAD {k} by"),
    "put": Place("target", False, "^PUT {k} by"),
    **{f"get-{n}": Place("source", True, f"^GET {{k}} bytes={at}-") for n, at in _PARTS},
    **{f"put-{n}": Place("target", True, f"^PUT {{k}}\\?partNumber={n}&") for n, _ in _PARTS},
    "list": Place("target", True, r"^GET {b}/?\?.*prefix={n}(&| ).*by"),
    "create": Place("target", True, r"^POST {k}\?uploads"),
    "complete": Place("target", True, r"^POST {k}\?uploadId"),
    "verify": Place("target", True, "^HEAD {k} by"),
    "head": Place("source", True, "^HEAD {k} by"),
}


def struck(
    kind: str,
    fault: Callable[[], Fault],
    place: str,
    *,
    times: int = 1,
    after: int = 0,
    suffix: str = "",
) -> Plan:
    """The plan: an object of the size that the place takes, and the fault on its way."""
    where = PLACES[place]

    def arrange(scene: Scene, key: str) -> None:
        scene.at(where.side, where.pattern, fault(), times=times, after=after)
        (scene.large if where.large else scene.small)(key)
        if place == "create":  # sent again, and the first one's id is nobody's
            scene.opened.add(key)

    return Plan(kind, f"{slug(kind)}--{place}{suffix}", arrange)


def slug(kind: str) -> str:
    """The kind's name as part of a key that no request line writes otherwise."""
    return re.sub("[^a-z0-9]+", "-", kind.lower())
