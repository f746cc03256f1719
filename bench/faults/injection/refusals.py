"""What no trying again helps: dead-lettered with its reason, and nothing else suffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from faults.injection.places import PLACES, slug
from faults.injection.scene import Plan, Scene
from faults.proxy import Fault
from faults.proxy import library as do
from support.worker_process import WorkerProcess, eventually

_KMS: Final = "User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt"
REFUSED: Final[dict[str, tuple[str, Callable[[], Fault], str]]] = {
    "KMS denied on one object": (
        "get",
        lambda: do.refused(403, "AccessDenied", text=_KMS),
        "AccessDenied",
    ),
    "KMS key disabled": ("get", lambda: do.refused(400, "KMS.DisabledException"), "RequestRefused"),
    "archived: InvalidObjectState": (
        "get",
        lambda: do.refused(403, "InvalidObjectState"),
        "NotRestored",
    ),
    "archived: InvalidObjectState of a part": (
        "get-2",
        lambda: do.refused(403, "InvalidObjectState"),
        "NotRestored",
    ),
    "denied for good": ("put", lambda: do.refused(403, "AccessDenied"), "AccessDenied"),
    "too large for the destination": (
        "put",
        lambda: do.refused(400, "EntityTooLarge"),
        "ObjectTooLarge",
    ),
    "refused for good": ("put", lambda: do.refused(400, "InvalidArgument"), "RequestRefused"),
}
POISON: Final[tuple[str, ...]] = (
    "nobody can read this",
    "[]",
    "17",
    '{"Records": "none"}',
    '{"Records": [{"s3": {}}]}',
    '{"Records": [17]}',
    '{"some": "other message"}',
    '{"src_bucket": "only-half"}',
    "\u20ac" * 2000,
    "[" * 5000,
)


def plans() -> list[Plan]:
    """Forbidden objects among others, and poison among good messages."""
    found = [_refused(kind, *given) for kind, given in REFUSED.items()]
    return [*found, *_poison(POISON[:3])]


def poison_alone() -> list[Plan]:
    """A queue of nothing else."""
    return _poison(POISON)


def _refused(kind: str, place: str, fault: Callable[[], Fault], code: str) -> Plan:
    where = PLACES[place]

    def arrange(scene: Scene, key: str) -> None:
        scene.at(where.side, where.pattern, fault(), times=0)
        (scene.large if where.large else scene.small)(key)
        scene.small(f"{key}/good")
        scene.dead[key] = code
        scene.opened.add(key)  # its message may be redriven, and go on where it was

    return Plan(kind, slug(kind), arrange)


def _poison(bodies: tuple[str, ...]) -> list[Plan]:
    return [
        Plan("a message nobody can read", f"poison-{number}", _sending(body))
        for number, body in enumerate(bodies)
    ]


def _sending(body: str) -> Callable[[Scene, str], None]:
    def arrange(scene: Scene, _key: str) -> None:
        scene.rig.queue.send(body)
        scene.told += 1
        scene.dead[body] = "MessageError"
        scene.done["a message nobody can read"] += 1

    return arrange


# --- revoked for all, and given back ------------------------------------------------------


def revoked() -> list[Plan]:
    """Every write is refused until an operator has mended the key."""

    def arrange(scene: Scene, key: str) -> None:
        scene.at("target", " by ", do.refused(403, "InvalidAccessKeyId"), times=0)
        for number in range(6):
            scene.small(f"{key}/{number}")
        scene.small(key)

    return [Plan("keys revoked for all, and back", "revoked", arrange)]


def until_restored(scene: Scene) -> WorkerProcess:
    """The circuit breaker opens; then the key is good again, and nothing else is done."""
    worker = scene.worker()
    worker.wait_for("breaker-open", within=90)
    for rules in scene.rules.values():
        for rule in rules:
            rule.on = False
    worker.wait_for("breaker-closed", within=90)
    eventually("the queue is empty", lambda: not scene.rig.queue.depth(), within=120)
    worker.terminate()
    worker.ended()
    return worker
