"""Watches everything that happens and says what was forbidden, at the moment it happens."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from faults.histories.buckets import Held, held
from faults.histories.trouble import Trouble
from sync.adapters.memory import Stored
from sync.model import Outcome, TransferResult, Upload

IGNORED: Final = "secret/"
_SLACK: Final = 900.0
"""Seconds that may pass between a job's look for open uploads and its own upload."""

Latest = Callable[[str], Stored | None]


class _Message(NamedTuple):
    keys: tuple[str, ...]
    step: int


class Failure(NamedTuple):
    """Something forbidden: ``kind`` as the tally counts it, ``when`` on the virtual clock."""

    kind: str
    text: str
    when: float


class Judge:
    """Knows what every key ever was at the source, and which messages stand for it.

    ``source`` and ``target`` tell what is current; ``under_way``: is somebody who lives at work
    on this key? ``seen`` counts situations, so that a reader sees what was reached.
    """

    def __init__(
        self, *, source: Latest, target: Latest, deletes: bool, now: Callable[[], float]
    ) -> None:
        self._source = source
        self._target = target
        self._deletes = deletes
        self._now = now
        self.under_way: Callable[[str], bool] = lambda _key: False
        self.failures: list[Failure] = []
        self.seen: Counter[str] = Counter()
        self.excused: set[str] = set()
        self.waiting: Counter[str] = Counter()
        self.flights: Counter[str] = Counter()
        self._messages: dict[str, _Message] = {}
        self._contents: dict[str, dict[Held, int]] = defaultdict(dict)
        self._right: dict[str, bool] = {}
        self._was_right: dict[str, int] = {}
        self._step = 0
        self._begun: dict[str, list[Upload]] = defaultdict(list)

    def fail(self, kind: str, text: str) -> None:
        """Something forbidden was seen."""
        self.failures.append(Failure(kind, text, self._now()))

    # --- what is where ----------------------------------------------------------------

    def is_right(self, key: str) -> bool:
        """Is the destination what it has to be?"""
        target = held(self._target(key))
        if key.startswith(IGNORED):
            return target is None
        source = held(self._source(key))
        if source is None and not self._deletes:
            return True  # what the destination shows has been judged when it came
        return source == target

    def source_changed(self, key: str) -> None:
        """A new version is current, or none."""
        self._step += 1
        now = held(self._source(key))
        if now is not None:
            self._contents[key][now] = self._step
        self._weigh(key)

    def target_changed(self, key: str) -> None:
        """An object became visible at the destination, or went."""
        self._step += 1
        now = held(self._target(key))
        if now is not None:
            version = self._contents[key].get(now)
            if version is None or key.startswith(IGNORED):
                self.fail("mixed", f"{key!r} became what it never was at the source: {now!r}")
            elif now != held(self._source(key)):
                self.seen["out of date when it landed"] += 1
                if self._right.get(key):
                    self.seen["landed late on the newer one"] += 1
        elif held(self._source(key)) is not None and self._right.get(key):
            self.seen["a delete landed late on the newer one"] += 1
        self._weigh(key)

    def _weigh(self, key: str) -> None:
        if self._right.get(key, True):  # before anything happened nothing was wrong
            self._was_right[key] = self._step
        self._right[key] = self.is_right(key)

    # --- who stands for it ------------------------------------------------------------

    def came(self, name: str, keys: Sequence[str]) -> None:
        """A message stands for these keys."""
        self._messages[name] = _Message(tuple(keys), self._step)
        self.waiting.update(keys)

    def left(self, name: str, *, excuse: str = "") -> None:
        """A message is gone: acknowledged or, with an ``excuse``, in another way."""
        keys, step = self._messages.pop(name)
        for key in keys:
            self.waiting[key] -= 1
            seen = self._right.get(key, True) or self._was_right.get(key, -1) >= step
            if not excuse and not seen and key not in self.excused:
                self.fail("lost", f"message {name} of {key!r} went, which was not right since")
            self._at_rest(key)

    def expired(self, names: Sequence[str]) -> None:
        """The queue dropped messages: only a comparison can mend it."""
        for name in names:
            self.excused.update(self._messages[name].keys)
            self.left(name, excuse="too old")

    def took_off(self, key: str) -> None:
        """A write is under way."""
        self.flights[key] += 1

    def landed(self, key: str) -> None:
        """It has ended."""
        self.flights[key] -= 1
        self._at_rest(key)

    def _at_rest(self, key: str) -> None:
        """Nobody stands for the key any more: then it has to be right."""
        if self.waiting[key] or self.flights[key] or self._right.get(key, True):
            return
        if key not in self.excused and not self.under_way(key):
            self.fail("stale", f"{key!r}: nobody stands for it any more, and {self.state(key)}")

    def state(self, key: str) -> str:
        """What source and destination hold, for a reader."""
        source, target = held(self._source(key)), held(self._target(key))
        return f"the source has {source!r}, the destination {target!r}"

    # --- uploads ----------------------------------------------------------------------

    def upload_begun(self, upload: Upload) -> None:
        """An upload was created."""
        self._begun[upload.ref.key].append(upload)

    def judge_uploads(self, still_open: Sequence[Upload], timeout: float) -> None:
        """What is open at the end must not be older than the policy says: whoever begins an
        upload of a key first ends those that nobody can be filling any more.
        """
        self.seen["uploads left open"] += len(still_open)
        for upload in still_open:
            for later in self._begun[upload.ref.key]:
                age = later.initiated - upload.initiated
                if age > timeout + _SLACK:
                    text = f"{upload.ref.key!r}: {upload.upload_id} was left, {age:.0f} s old"
                    self.fail("unhandled", f"{text}, when {later.upload_id} began")

    # --- what is told -----------------------------------------------------------------

    def job_finished(self, result: TransferResult) -> None:
        """As a ``TransferObserver``."""
        seen, outcome = self.seen, result.outcome
        seen[f"job {outcome}"] += 1
        if outcome is Outcome.COPIED or outcome is Outcome.DELETED:
            seen["events served by another's copy"] += result.reason.startswith("served by")
            seen["copied in several rounds"] += result.rounds > 1
            seen["parts kept"] += result.parts_reused

    def event(self, name: str, detail: object) -> None:
        """As a ``TransferObserver``."""
        self.seen[f"event {name}"] += 1
        if name == "bug":
            self.fail("unhandled", f"the worker tells of a bug: {detail}")
        elif name == "given-back" and isinstance(detail, dict) and detail["kept"]:
            self.seen["leases kept for a write on its way"] += 1


def merge_fired(seen: Counter[str], trouble: Trouble) -> None:
    """Faults among the counts."""
    for kind, count in trouble.fired.items():
        seen[f"fault {kind}"] += count
