"""What happens in a run: loading, changes and accidents, while the workers work."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final

from sync.demo.contents import Catalogue, Item
from sync.demo.names import DESTINATION, LEASE_SECONDS
from sync.demo.processes import Child, Children, DemoError, wait_for
from sync.demo.screen import Reading, Screen
from sync.demo.source import Source
from sync.demo.stage import Stage
from sync.demo.watch import Watch, quantile
from sync.standins.gcs import Fault, Match

_LOADERS: Final = 4
_KILL_AFTER: Final = 0.3
_QUIET_LOOKS: Final = 4
_LOOK_EVERY: Final = 0.25
_PART_DELAY: Final = 0.2
_MB: Final = 1_000_000


class Story:
    """One run of the demonstration, from the first worker's start to the last one's end."""

    def __init__(self, stage: Stage, children: Children, items: Catalogue, screen: Screen) -> None:
        self.stage = stage
        self.watch = Watch()
        self.source = Source(stage)
        self.ignored = {item.key for item in items.ignored}
        self._items = items
        self._children = children
        self._screen = screen
        self._workers: dict[str, Child] = {}
        self._tasks: list[Future[None]] = []
        self._total = sum(1 for _ in items.wanted())
        self._deadline = 0.0

    def run(self, *, limit: float) -> None:
        """All acts, within ``limit`` seconds; DemoError where something gets stuck."""
        self._deadline = time.monotonic() + limit
        self._start_workers("worker-1", "worker-2")
        with ThreadPoolExecutor(_LOADERS) as pool, self._screen.showing(self.reading):
            try:
                self._load(pool)
                self._kill_one(pool)
                self._change(pool)
                self._settle()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self._stop_workers()

    # --- the acts ---------------------------------------------------------------------

    def _start_workers(self, *names: str) -> None:
        for name in names:
            child = self.stage.worker(self._children, name)
            self._workers[name] = child
            self.watch.follow(name, child.log)
        for name in names:
            self._wait(partial(self._is_ready, name), what=f"{name} to be ready")
            self._screen.step(f"{name} is ready, pid {self._workers[name].pid}")

    def _is_ready(self, name: str) -> bool:
        return name in self.watch.update().ready

    def _load(self, pool: ThreadPoolExecutor) -> None:
        """Everything but the large objects. The giant is early, so that the kill is too."""
        items, quarter = self._items, len(self._items.small) // 4
        # The parts of two objects are held up a little, as by a store far away.
        slow = "|".join(re.escape(item.key) for item in (items.giant, items.large[-1]))
        match = Match(operation="UploadPart", key=slow)
        self.stage.control.add(Fault(match, times=0, delay=_PART_DELAY))
        size = _megabytes(sum(item.size for item in items))
        self._screen.step(f"loading {self._total} objects, {size}; bucket events fill the queue")
        self._submit(pool, self.source.send_bad_messages)
        self._put(pool, [items.giant, *items.awkward, *items.ignored, items.forbidden])
        self._put(pool, [*items.small[:quarter], *items.middling, *items.small[quarter:]])
        self._put(pool, items.large[:-1])

    def _kill_one(self, pool: ThreadPoolExecutor) -> None:
        """SIGKILL the worker that has the giant in hand; start another in its place."""
        giant, name = self._items.giant, f"{DESTINATION}/{self._items.giant.key}"
        sent: list[int] = []

        def far_enough() -> bool:
            figures = self.watch.update()
            begun = figures.begun.get(name)
            sent.append(self.stage.parts_there(giant.key))
            enough = begun is not None and sent[-1] >= max(2, begun[1] * _KILL_AFTER)
            return enough or name in figures.copied

        self._wait(far_enough, what="the largest object to be on its way")
        victim, parts = self.watch.update().begun[name]
        child = self._workers.pop(victim)
        child.kill()
        self._screen.step(
            f"{victim} killed (SIGKILL) with {sent[-1]} of {parts} parts of the "
            f"{_megabytes(giant.size)} object sent"
        )
        self._screen.step(f"  its messages come back when its leases of {LEASE_SECONDS} s run out")
        self._start_workers("worker-3")
        self._put(pool, self._items.large[-1:])

    def _change(self, pool: ThreadPoolExecutor) -> None:
        """Overwrite and delete what has been loaded, one large object while it is copied."""
        items = self._items
        chosen = items.small[:: max(1, len(items.small) // (items.rewrites + items.deletes))]
        rewritten, deleted = chosen[: items.rewrites], chosen[items.rewrites :][: items.deletes]
        large = items.large[-1]
        during = self._under_way(large)
        self._screen.step(f"overwriting {large.key}, {_megabytes(large.size)}, {during} its copy")
        self._submit(pool, partial(self.source.put, large.rewritten()))
        self._screen.step(f"overwriting {len(rewritten)} objects, deleting {len(deleted)}")
        for item in rewritten:
            self._submit(pool, partial(self.source.rewrite, item))
        for item in deleted:
            self._submit(pool, partial(self.source.delete, item))

    def _under_way(self, item: Item) -> str:
        """Wait for its first part; "during", or "after" where the copy was quicker than that."""
        name, seen = f"{DESTINATION}/{item.key}", [0]

        def begun() -> bool:
            seen[0] = self.stage.parts_there(item.key)
            return bool(seen[0]) or name in self.watch.update().copied

        self._wait(begun, what=f"{item.key} to be copied")
        return "during" if seen[0] else "after"

    def _settle(self) -> None:
        """Wait until all is loaded and the queue has been empty for a while."""
        quiet = 0
        for task in self._tasks:
            self._loaded(task)
        self._screen.step("all is loaded and changed; waiting for the queue to become empty")
        while quiet < _QUIET_LOOKS:
            if not self._left:
                waiting, taken = self.stage.depth()
                raise DemoError(f"the queue did not become empty: {waiting} wait, {taken} taken")
            for child in (*self._workers.values(), *self.stage.servers):
                child.check()
            quiet = quiet + 1 if self.stage.depth() == (0, 0) else 0
            time.sleep(_LOOK_EVERY)

    def _loaded(self, task: Future[None]) -> None:
        try:
            task.result(self._left)
        except TimeoutError:
            raise DemoError("the objects could not be loaded in time") from None
        except Exception as error:
            raise DemoError(f"an object could not be loaded: {error}") from error

    def _stop_workers(self) -> None:
        """SIGTERM; a worker drains. Those that dead-lettered something end with 1."""
        for name, child in self._workers.items():
            code = child.stop()
            if code not in {0, 1}:
                raise DemoError(f"{name} ended with {code}; see {child.log}")
        self.watch.update()
        self._screen.step(f"the queue is empty; {' and '.join(self._workers)} ended (SIGTERM)")

    @property
    def _left(self) -> float:
        """Seconds until the run counts as stuck."""
        return max(0.0, self._deadline - time.monotonic())

    # --- helpers ----------------------------------------------------------------------

    def _put(self, pool: ThreadPoolExecutor, items: Sequence[Item]) -> None:
        for item in items:
            self._submit(pool, partial(self.source.put, item))

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        self._tasks.append(pool.submit(work))

    def _wait(self, condition: Callable[[], object], *, what: str) -> None:
        children: Iterable[Child] = (*self._workers.values(), *self.stage.servers)
        wait_for(condition, what=what, limit=self._left, children=tuple(children))

    def reading(self) -> Reading:
        """The figures of this moment, for the screen."""
        figures, (waiting, taken) = self.watch.update(), self.stage.depth()
        return Reading(
            noun="objects",
            done=len(figures.copied),
            total=self._total,
            copies=figures.copies,
            moved=self.stage.control.stats()["bytes_in"],
            queue=waiting,
            in_flight=taken,
            lag=quantile(list(figures.recent), 0.5),
            failures=figures.outcomes["failed"],
        )


def _megabytes(size: int) -> str:
    return f"{size / _MB:.0f} MB"
