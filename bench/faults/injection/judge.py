"""What must hold after a life, whatever was done to it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from faults.injection.scene import Life, Plan, Scene, key_of
from faults.proxy import Entry
from faults.tally import Tally
from support.rig import eventually
from support.side import Held
from support.worker_process import WorkerProcess

_ACKNOWLEDGE = "AmazonSQS.DeleteMessageBatch"


@dataclass
class Verdict:
    """Of one life: kinds tried and survived, and what was seen that must not be."""

    life: Life
    seconds: float = 0.0
    tried: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)

    def fail(self, text: str) -> None:
        where = f"injection, life {self.life.name}"
        again = f"again alone: python -m faults.injection {self.life.name}"
        self.tally.failures.append(f"{where}: {text} ({again})")


def judge(scene: Scene, worker: WorkerProcess, verdict: Verdict) -> None:
    """Look at everything the life left behind."""
    eventually("late writes have landed", lambda: not any(p.busy for p in scene.proxies))
    verdict.tally.events += scene.told
    verdict.tally.duplicated_acks += (again := repeated_acknowledgements(scene))
    if again:
        verdict.fail(f"{again} deliveries were acknowledged again")
    for text in (*_log(worker, verdict), *_queue(scene), *_uploads(scene, worker)):
        verdict.fail(text)
    for check in scene.checks:
        if text := check(worker):
            verdict.fail(text)
    target = scene.rig.target
    held = {key: found for key in sorted(target.keys()) if (found := target.get(key))}
    for plan in scene.life.plans:
        verdict.tried[plan.kind] += 1
        verdict.survived[plan.kind] += _plan(scene, plan, held, verdict)
    planned = {plan.key for plan in scene.life.plans}
    left = {k: v for k, v in scene.versions.items() if k not in planned}
    others = {k: found.content for k, found in held.items() if k not in planned}
    verdict.tally.end_state(_where(scene), left, others)
    verdict.tally.faults.update(scene.done)
    for proxy in scene.proxies:
        verdict.tally.faults.update(proxy.fired)


def _where(scene: Scene) -> str:
    return f"injection, life {scene.life.name}"


def _plan(scene: Scene, plan: Plan, held: dict[str, Held], verdict: Verdict) -> bool:
    """Every rule struck, and the object is what it is at the source, with its headers."""
    well, key = True, plan.key
    for rule in scene.rules.get(key, ()):
        if not rule.fired:
            verdict.fail(f"{key}: the fault never struck ({rule.match})")
            well = False
    wanted = {} if key in scene.dead else {k: scene.versions[k] for k in {key} & {*scene.versions}}
    found = held.get(key)
    shown = {key: found.content} if found else {}
    well &= verdict.tally.end_state(f"{_where(scene)}, {plan.kind}", wanted, shown)
    if wanted and found:
        ours = _described(scene, key)
        if _plain(ours) != _plain(found.headers):
            verdict.fail(f"{key}: other headers at the destination: {found.headers}, not {ours}")
            well = False
    return well


def _described(scene: Scene, key: str) -> dict[str, str]:
    """The headers at the source, as a client of neither 3GSync nor a proxy sees them."""
    side = scene.rig.source
    headers = side.boto.head_object(Bucket=side.bucket, Key=key)
    named = {f"x-amz-meta-{name}": value for name, value in headers["Metadata"].items()}
    return {"content-type": headers["ContentType"], **named}


def _plain(headers: dict[str, str]) -> dict[str, str]:
    return {n: v for n, v in headers.items() if n == "content-type" or "-meta-" in n}


def _log(worker: WorkerProcess, verdict: Verdict) -> Iterator[str]:
    bugs = worker.seen("bug")
    verdict.tally.unhandled += len(bugs) + bool(worker.stray)
    for line in bugs:
        yield f"a bug: {str(line.get('trace') or line.get('error'))[-1500:]}"
    if worker.stray:
        yield f"lines that are no log lines: {worker.stray[-12:]}"


def _queue(scene: Scene) -> Iterator[str]:
    left = scene.rig.queue.depth()
    if left:
        yield f"{left} messages are left in the queue"
    dead = {(key_of(letter["body"]), letter.get("code", "")) for letter in scene.rig.queue.dead()}
    wanted = set(scene.dead.items())
    if dead != wanted:
        yield f"dead letters {sorted(dead - wanted)} too many, {sorted(wanted - dead)} missing"


def _uploads(scene: Scene, worker: WorkerProcess) -> Iterator[str]:
    """Uploads left open, but for those whose id nobody learned: an old one the policy ends."""
    bucket = scene.rig.target.bucket
    unknown = {str(line.get("what")) for line in worker.seen("retry")}
    reply = scene.rig.target.boto.list_multipart_uploads(Bucket=scene.rig.target.bucket)
    for entry in reply.get("Uploads", ()):
        key = entry["Key"]
        if key not in scene.opened and f"create upload {bucket}/{key}" not in unknown:
            yield f"an upload of {key!r} is left open"


def repeated_acknowledgements(scene: Scene) -> int:
    """Deliveries that were acknowledged although an answer had said that they are gone."""
    answered: set[str] = set()
    repeated = 0
    for entry in list(scene.queue.journal):
        if _ACKNOWLEDGE not in entry.line or not entry.asked:
            continue
        receipts = {e["Id"]: e["ReceiptHandle"] for e in json.loads(entry.asked)["Entries"]}
        repeated += len(answered & set(receipts.values()))
        answered |= {receipts[done["Id"]] for done in _told(entry).get("Successful", ())}
    return repeated


def _told(entry: Entry) -> dict[str, Any]:
    """What whoever asked was told; nothing where it was no whole answer of SQS's."""
    if not entry.answered or entry.status != "200":
        return {}
    text = entry.told.partition(b"\r\n\r\n")[2].decode()
    try:
        value: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    except ValueError:
        return {}
    return value
