"""Where workers die: a rig with watched queue and ledger, what was put there, and the judgement
of what is there in the end.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from faults.crashes.watched import WatchedProxy
from faults.stage import Stage
from faults.tally import Tally
from support.gate import Proxy
from support.nursery import Nursery
from support.rig import MIB, Rig, noise
from support.worker_process import WorkerProcess, eventually

LARGE: Final = 5 * MIB + 100_000
"""Two parts: 5 MiB, the least that Cloud Storage takes, and a little."""
_PART: Final = re.compile(r"^PUT /[^/]+/([^ ?]+)\?partNumber=(\d+)&uploadId=([^ &]+)(?!.* -> )")
_MARK: Final = 10_000
_PATIENCE: Final = 180.0
_BLOCK: Final = noise(LARGE)


def content(name: str, size: int) -> bytes:
    """Bytes of this size that no other name has, in no 64 KiB of them."""
    head = name.encode().ljust(64, b".")
    block = bytearray(_BLOCK[:size])
    for start in range(0, size, 65_536):
        block[start : start + len(head)] = head[: size - start]
    return bytes(block)


class Scene:
    """One rig and the history of its objects."""

    def __init__(self, rig: Rig, tally: Tally, ledger: WatchedProxy) -> None:
        self.rig, self.tally, self.ledger = rig, tally, ledger
        self.queue: WatchedProxy = rig.queue.proxy  # type: ignore[assignment]
        self.versions: dict[str, list[bytes]] = {}
        self.poison: set[str] = set()
        self.dead: list[str] = []

    # --- making history -------------------------------------------------------------------

    def put(self, key: str, body: bytes, **fields: Any) -> None:
        """A new version at the source; nobody is told."""
        self.rig.source.put(key, body, **fields)
        self.versions.setdefault(key, []).append(body)

    def delete(self, key: str) -> None:
        """Delete at the source; nobody is told."""
        self.rig.source.delete(key)
        self.versions.pop(key, None)

    def tell(self, key: str, name: str = "ObjectCreated:Put", size: int | None = None) -> None:
        """An event."""
        self.send(self.rig.event(key, name, **({} if size is None else {"size": size})))

    def send(self, body: str) -> None:
        self.rig.queue.send(body)
        self.tally.events += 1

    def send_poison(self, text: str) -> None:
        """A message that nobody can understand."""
        self.poison.add(text)
        self.send(text)

    # --- deaths and what follows ----------------------------------------------------------

    def kill(self, worker: WorkerProcess) -> None:
        worker.kill()
        self.tally.crashes += 1

    def settled(self) -> None:
        """What the dead had under way has landed or is lost: nothing of theirs is left to come."""
        for proxy in (self.rig.source.proxy, self.rig.target.proxy, self.queue, self.ledger):
            eventually("no connection is left", partial(_silent, proxy), within=90)

    def rescue(self) -> WorkerProcess:
        """The leases of the dead run out, and another worker ends the work."""
        self.settled()
        self.rig.queue.expire_leases()
        worker = self.rig.start("--until-empty")
        try:
            worker.ended(_PATIENCE)
        except AssertionError as error:  # what is missing then is judged
            worker.kill()
            self.tally.unhandled += 1
            self.tally.failures.append(f"crashes: the worker that is to end the work: {error}")
        return worker

    # --- judgement ------------------------------------------------------------------------

    def judge(self, where: str, *, ignored: frozenset[str] = frozenset()) -> bool:
        """Destination equals source, no message is left or lost, none was acknowledged twice."""
        before = len(self.tally.failures)
        held = {key: self.rig.target.content(key) for key in sorted(self.rig.target.keys())}
        wanted = {key: all_of for key, all_of in self.versions.items() if key not in ignored}
        self.tally.end_state(where, wanted, held)
        if (depth := self.rig.queue.depth()) != 0:
            self.tally.failures.append(f"{where}: {depth} messages are left in the queue")
        self._judge_poison(where)
        for body in self.queue.again:
            self.tally.duplicated_acks += 1
            self.tally.failures.append(f"{where}: acknowledged once more: {body[:200]}")
        self.queue.again.clear()
        return len(self.tally.failures) == before

    def _judge_poison(self, where: str) -> None:
        self.dead = [message["body"] for message in self.rig.queue.dead()]
        dead = set(self.dead)
        for text in self.poison - dead:
            self.tally.lost += 1
            self.tally.failures.append(f"{where}: the message {text!r} vanished")
        for body in dead - self.poison:
            self.tally.failures.append(f"{where}: dead-lettered for no reason: {body[:200]}")

    def sent_again(self, key: str = "") -> int:
        """How many parts of one upload were sent more than once, the identity mark left out."""
        sent: Counter[tuple[str, str]] = Counter()
        for line in list(self.rig.target.proxy.journal):
            if (found := _PART.match(line)) and int(found[2]) != _MARK and key in {"", found[1]}:
                sent[found[3], found[2]] += 1
        return sent.total() - len(sent)

    def open_uploads(self) -> Counter[str]:
        """Keys of the uploads that are open at the destination."""
        target = self.rig.target
        reply = target.boto.list_multipart_uploads(Bucket=target.bucket)
        return Counter(entry["Key"] for entry in reply.get("Uploads", ()))

    def uploads_end(self, where: str, *, wait: float = 3.0) -> bool:
        """Uploads that prove nothing go once they are older than JobTimeout, with the next copy
        of their object.
        """
        self.rig.options["JobTimeout"] = int(wait)
        time.sleep(wait + 1.1)  # their age is told in whole seconds
        for key in self.open_uploads():
            self.put(key, content(f"{key} at the end", LARGE))
            self.tell(key, size=LARGE)
        self.rig.start("--until-empty").ended(_PATIENCE)
        left = self.open_uploads()
        if left:
            self.tally.failures.append(f"{where}: uploads left open: {dict(left)}")
        return not left


def _silent(proxy: Proxy) -> bool:
    return proxy.connections == 0


@contextlib.contextmanager
def open_scene(stage: Stage, tally: Tally, **options: Any) -> Iterator[Scene]:
    """A fresh scene; its rig is checked and removed at the end."""
    settings = {"ResumableThreshold": 5, "LeaseSeconds": 120, "LateWriteGrace": 1, **options}
    with stage.rig(**settings) as rig:
        rig.queue.proxy.close()
        endpoint = stage.aws.endpoint
        rig.queue.proxy, ledger = WatchedProxy(endpoint), WatchedProxy(endpoint)
        rig.environ["AWS_ENDPOINT_URL_SQS"] = rig.queue.proxy.url
        rig.environ["AWS_ENDPOINT_URL_DYNAMODB"] = ledger.url
        yield Scene(rig, tally, ledger)
        for worker in rig.workers:
            worker.close()
        idle = ledger.close()
        if idle:
            raise AssertionError(f"never struck: {idle}")


@contextlib.contextmanager
def nursed(scene: Scene) -> Iterator[None]:
    """Workers that are to die are forked: to start each anew would be most of the work."""
    with Nursery(scene.rig.environ) as nursery:
        scene.rig.nursery = nursery
        yield
        scene.rig.nursery = None
