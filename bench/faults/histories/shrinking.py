"""Makes a failing history small: operations are left out as long as it still fails.

The latencies shift when operations go, so a cut history is tried with several lucks before it
is taken for one that passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from faults.histories.script import Do, History, Op

LUCKS: Final = 4
_TRIES: Final = 1500
"""Histories played for one shrinking, at most."""


class Shrinker:
    """``fails`` plays a history and says whether it fails. ``played`` counts."""

    def __init__(self, fails: Callable[[History], bool], *, tries: int = _TRIES) -> None:
        self._fails = fails
        self._left = tries
        self.played = 0

    def shrink(self, history: History) -> History:
        """The smallest failing history that is found; ``history`` itself has to fail."""
        while True:
            before = history
            history = self._fewer(history)
            history = self._simpler(history)
            if history == before or self._left <= 0:
                return history

    def _fewer(self, history: History) -> History:
        """Leave out runs of operations: halves first, single ones last."""
        size = len(history.ops)
        while size >= 1:
            at = 0
            while at < len(history.ops):
                ops = history.ops[:at] + history.ops[at + size :]
                smaller = self._failing(replace(history, ops=ops))
                if smaller is None:
                    at += size
                else:
                    history = smaller
            size //= 2
        return history

    def _simpler(self, history: History) -> History:
        """Each operation without what it need not have; the world without what it need not."""
        for at in range(len(history.ops)):
            for op in _plainer(history.ops[at]):
                ops = (*history.ops[:at], op, *history.ops[at + 1 :])
                history = self._failing(replace(history, ops=ops), lucks=1) or history
        setting = history.setting
        for plain in (
            replace(setting, workers=min(2, setting.workers)),
            replace(setting, versions="never"),
            replace(setting, ledger=False),
            replace(setting, interval=0.0),
        ):
            if plain != setting:
                found = self._failing(replace(history, setting=plain), lucks=1)
                history, setting = (found, plain) if found else (history, setting)
        return history

    def _failing(self, history: History, *, lucks: int = LUCKS) -> History | None:
        first = history.setting.luck
        for luck in (first, *(n for n in range(lucks) if n != first))[:lucks]:
            if self._left <= 0:
                return None
            self._left -= 1
            self.played += 1
            tried = history.with_luck(luck)
            if self._fails(tried):
                return tried
        return None


def _plainer(op: Op) -> Iterator[Op]:
    if op.again:
        yield replace(op, again=0.0)
    if len(op.sent) > 1:
        yield replace(op, sent=op.sent[:1])
    if any(op.sent):
        yield replace(op, sent=tuple(0.0 for _ in op.sent))
    if op.do in {Do.MULTIPART, Do.SAME, Do.META, Do.RESTORE}:
        yield replace(op, do=Do.PUT, size=op.size or 24)


def printed(history: History, command: str, failures: Sequence[str]) -> str:
    """For whoever has to find the fault: what was seen, the script, and how to play it again."""
    said = "\n".join(f"# {line}" for text in failures[:3] for line in text.splitlines()[:1])
    return f"# play it again: {command}\n{said}\n{history}"
