"""Lives in which the whole way is another one: clocks, names, limits, certificates, modes."""

from __future__ import annotations

import re
from collections.abc import Callable

from faults.injection.places import struck
from faults.injection.running import until_empty
from faults.injection.scene import Plan, Scene
from faults.proxy import Fault, Rule
from faults.proxy import library as do
from faults.proxy.heads import Head
from support.worker_process import WorkerProcess


def _some(count: int = 6) -> Callable[[Scene, str], None]:
    def arrange(scene: Scene, key: str) -> None:
        for number in range(count):
            scene.small(f"{key}/{number}")
        scene.large(key)

    return arrange


def skewed(kind: str) -> list[Plan]:
    """The machine's clock is wrong, and the stores say so: signed with their time from then on."""

    def arrange(scene: Scene, key: str) -> None:
        _some()(scene, key)

        def refusals(_worker: WorkerProcess) -> str:
            found = scene.target.count("", status="403")
            scene.done[kind] += found
            return "" if found else "no store complained of the clock"

        scene.checks.append(refusals)

    return [Plan(kind, "clock", arrange)]


def by_name() -> list[Plan]:
    """The stores have names that cannot be resolved at first."""

    def arrange(scene: Scene, key: str) -> None:
        _some()(scene, key)

    return [Plan("a name that does not resolve for a time", "names", arrange)]


def resolved_later(scene: Scene) -> WorkerProcess:
    hosts = scene.rig.folder / "hosts"
    hosts.write_text("")
    names = {"SrcEndPointURL": "source.faults.test", "DestEndPointURL": "target.faults.test"}
    ports = {"SrcEndPointURL": scene.source.port, "DestEndPointURL": scene.target.port}
    scene.rig.options |= {key: f"http://{name}:{ports[key]}" for key, name in names.items()}
    worker = scene.worker("--until-empty", "--hosts", str(hosts))
    for name in names.values():
        text = f"the name of {name} cannot be resolved"
        while not any(text in str(line.get("error")) for line in worker.seen("retry")):
            worker.wait_for("retry", within=60)
        scene.done["a name that does not resolve for a time"] += 1
        hosts.write_text(hosts.read_text() + f"127.0.0.1 {name}\n")
    worker.ended(150)
    return worker


def limited() -> list[Plan]:
    """Both stores take two connections at a time, and reset the rest."""

    def arrange(scene: Scene, key: str) -> None:
        scene.source.most_connections = scene.target.most_connections = 2
        _some(12)(scene, key)

        def struck(_worker: WorkerProcess) -> str:
            found = scene.source.fired["connection-limit"] + scene.target.fired["connection-limit"]
            return "" if found else "no connection was above the limit"

        scene.checks.append(struck)

    return [Plan("connection-limit", "limit", arrange)]


def impostors() -> list[Plan]:
    """For some handshakes the certificate is another host's: nothing is said to it."""
    kind = "certificate of another host"

    def arrange(scene: Scene, key: str) -> None:
        scene.source.impostures = scene.target.impostures = 2
        _some()(scene, key)

        def struck(_worker: WorkerProcess) -> str:
            left = scene.source.impostures + scene.target.impostures
            scene.done[kind] += 4 - left
            return f"{left} handshakes were never an impostor's" if left else ""

        scene.checks.append(struck)

    torn = "torn off without TLS's word"
    return [
        Plan(kind, "impostor", arrange),
        struck(torn, do.torn_off, "get"),
        struck(torn, do.torn_off, "get-3"),
        struck("lost reply", do.lost_reply, "put"),
        struck("reset in the reply's body", do.reset_in_body, "get-1"),
        struck("reset by the next request", do.reset_next, "put"),
        struck("stall before the head", do.stall_unheard, "put-1"),
    ]


def damaged_reads() -> list[Plan]:
    """Bits flip on the way from a source that knows its checksums: seen before it is written."""
    kind = "flipped byte from the source"
    return [
        struck(kind, do.flipped_reply, "get"),
        struck(kind, lambda: do.flipped_reply(1_000_000), "get-1"),
        struck(kind, lambda: do.flipped_reply(5_000_000), "get-2"),
        struck(kind, lambda: do.flipped_reply(0), "get-3"),
    ]


def stalls() -> list[Plan]:
    """What neither ends nor gets on, with the wire's patience as it is: ``JobTimeout`` ends it."""
    kind, loris = "stalled until JobTimeout", "slow loris until JobTimeout"
    return [
        struck(kind, do.stall_unheard, "get"),
        struck(kind, do.stall_reply, "put"),
        struck(kind, do.stall_in_body, "get-2"),
        struck(kind, do.stall_unread, "put-2"),
        struck(kind, do.stall_reply, "complete"),
        struck(kind, do.stall_reply, "list"),
        struck(loris, lambda: do.drip_reply(1.0), "get"),
        struck(loris, lambda: do.drip_reply(1.0), "put"),
        struck(loris, lambda: do.drip_request(1024, 1.0), "put-1"),
    ]


def blind() -> list[Plan]:
    """The destination's replies prove nothing: it is made to check for itself."""

    def bare(head: Head) -> Head:
        return head.replaced("x-goog-hash", None)

    def mute() -> Fault:
        return do.retold("mute", bare)

    damaged = "flipped byte to a store that proves nothing"

    def both(scene: Scene, key: str) -> None:
        scene.at("target", "^PUT {k} by", do.flipped_request(), after=1)
        scene.at("target", "^PUT {k} by", mute(), times=0)
        scene.small(key)

    kind = "replies that prove nothing"
    return [
        Plan(damaged, "damaged", both),
        struck(kind, mute, "put", times=0),
        *(struck(kind, mute, f"put-{part}", times=0) for part in (1, 2, 3)),
    ]


def copies() -> list[Plan]:
    """TransferMode = copy: CopyObject answers 200 first and may fail all the same."""
    return [
        _copied("copy: 200 with an error", lambda: do.refused(200, "InternalError"), 1),
        _copied("copy: 200 with an error", lambda: do.refused(200, "SlowDown"), 2),
        _copied("copy: reply lost", do.lost_reply, 3),
        _copied("copy: timed out", do.stall_reply, 4),
        _copied("copy: a page from between", do.portal, 5),
        _copied("copy: 504, and it lands late", lambda: do.late(504, 0.3), 6),
        _copied("copy: reset", do.reset_unheard, 7),
        _copied("copy: 503", lambda: do.refused(503, "SlowDown"), 8),
    ]


def _copied(kind: str, fault: Callable[[], Fault], number: int) -> Plan:
    def arrange(scene: Scene, key: str) -> None:
        path = re.escape(f"/{scene.rig.target.bucket}/{key}")
        rule = Rule(f"^PUT {path} by", fault(), kind=kind)
        scene.source.add(rule)
        scene.rules.setdefault(key, []).append(rule)
        scene.small(key)

    return Plan(kind, f"copied-{number}", arrange)


def at_one_end_point(scene: Scene) -> WorkerProcess:
    """A store copies by itself where both sides are at one end point."""
    scene.rig.options["DestEndPointURL"] = scene.source.url
    bucket = scene.rig.source.bucket

    def relayed(_worker: WorkerProcess) -> str:
        found = scene.source.count(f"^GET /{bucket}/")
        return f"{found} objects were read, not copied by the store" if found else ""

    scene.checks.append(relayed)
    return until_empty(scene)
