"""The load where no C compiler is: fewer messages, over the servers of the tests."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from faults.stage import Stage
from faults.tally import Tally
from support.rig import Rig

_WHY: Final = "no C compiler or no OpenSSL headers: over the Python servers, fewer messages"
_BATCH: Final = 10
_SIZES: Final = 8192


def run(tally: Tally, stage: Stage, *, messages: int) -> None:
    """Do it, and judge it: one message in a hundred tells of an object again."""
    keys = [f"{number:09}" for number in range(messages - messages // 100)]
    with stage.rig() as rig:
        with ThreadPoolExecutor(4) as some:
            list(some.map(lambda key: rig.source.put(key, content_of(key)), keys))
        told = _told(keys, messages)
        _send(rig, told)
        began = time.monotonic()
        summary = rig.until_empty().summary
        rate = messages / (time.monotonic() - began)
        held = {key: rig.target.content(key) for key in sorted(rig.target.keys())}
        done = messages - rig.queue.depth()
        dead = rig.queue.dead_depth()
    tally.events += len(told)
    tally.faults["told-again"] += len(told) - len(keys)
    well = tally.end_state("load", {key: [content_of(key)] for key in keys}, held)
    tally.row("load", "messages, 1 process", messages, done, f"{rate:,.0f} messages/s; {_WHY}")
    right = sum(held.get(key) == content_of(key) for key in keys)
    tally.row("load", "objects, byte for byte", len(keys), right)
    if not well or summary["messages"] != messages or dead or summary["failing"]:
        tally.failures.append(f"load: {dead} dead-lettered; {summary}")


def content_of(key: str) -> bytes:
    """Bytes of its own for each key."""
    word = hashlib.sha256(key.encode()).digest()
    return (word * (_SIZES // len(word)))[: int(key) % _SIZES]


def _told(keys: Sequence[str], messages: int) -> list[str]:
    """Every key, and among them some of the earlier ones again."""
    again = messages - len(keys)
    every = len(keys) // again if again else len(keys) + 1
    told = []
    for number, key in enumerate(keys, 1):
        told.append(key)
        if number % every == 0 and len(told) - number < again:
            told.append(keys[number // 2])
    return told


def _send(rig: Rig, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), _BATCH):
        bodies = [rig.event(key, size=len(content_of(key))) for key in keys[start : start + _BATCH]]
        rig.queue.send(*bodies)
