"""The source changes under the reader's hands."""

from __future__ import annotations

from collections.abc import Callable

from faults.injection.places import slug
from faults.injection.scene import LARGE, Plan, Scene
from faults.proxy import library as do

_MIDDLE = 300_000


def _plan(
    kind: str,
    pattern: str,
    *,
    first: int,
    then: int | None,
    body: bool = False,
    times: int = 1,
) -> Plan:
    """``then`` bytes are what the object is changed to (None: it is deleted), ``times`` times."""

    def arrange(scene: Scene, key: str) -> None:
        deed: Callable[[], None] = scene.remove(key) if then is None else scene.change(key, then)
        fault = do.meanwhile_in_body(deed, 1000) if body else do.meanwhile(deed)
        scene.at("source", pattern, fault, times=times)
        (scene.large if first > LARGE // 2 else scene.small)(key, first)

    return Plan(kind, slug(kind) + ("--large" if first > LARGE // 2 else ""), arrange)


def _lands_late(scene: Scene, key: str) -> None:
    """The gateway's first copy of the old version lands after the new one has been written."""
    scene.at("source", "^HEAD {k} by", do.meanwhile(scene.change(key, 4000)))
    scene.at("target", "^PUT {k} by", do.late(504, 2.0))
    scene.small(key)


def plans() -> list[Plan]:
    """The truth of all: the destination ends as the source does, and was never a mixture."""
    get, head, part = "^GET {k} by", "^HEAD {k} by", "^GET {k} bytes=5242880-"
    return [
        _plan("overwritten before it is read", get, first=3000, then=5000),
        _plan("overwritten in mid-body", get, first=_MIDDLE, then=4000, body=True),
        _plan("overwritten in mid-body", part, first=LARGE, then=LARGE, body=True),
        _plan("overwritten between the parts", part, first=LARGE, then=LARGE),
        _plan("overwritten after it was written", head, first=3000, then=2000),
        _plan("overwritten again and again", head, first=3000, then=2500, times=4),
        _plan("grown while it is read", get, first=3000, then=LARGE, body=True),
        _plan("grown before it is read", get, first=3000, then=LARGE),
        _plan("shrunk between the parts", part, first=LARGE, then=100),
        _plan("emptied between the parts", part, first=LARGE, then=0),
        _plan("deleted before it is read", get, first=3000, then=None),
        _plan("deleted in mid-body", get, first=_MIDDLE, then=None, body=True),
        _plan("deleted between the parts", part, first=LARGE, then=None),
        _plan("deleted after it was written", head, first=3000, then=None),
        Plan("an old write that lands late", "stale-write", _lands_late),
    ]
