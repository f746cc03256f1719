"""Hostile keys, end to end: by events through workers, by the jobsender's listing, and by check."""

# ruff: noqa: SLF001  the rig's raw requests: boto3 would fold dots and slashes

from __future__ import annotations

import dataclasses
import http.client
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from faults.inputs.hostile_keys import few, hostile_keys
from faults.tally import Effort, Tally
from support.rig import Rig
from support.servers import S3Server
from sync.adapters.dialects import gcs_key_fault

if TYPE_CHECKING:
    from faults.stage import Stage

_SECTION: Final = "inputs"
_SHORT: Final = 150
_ENDINGS: Final = (0, 1)


def send_keys(tally: Tally, effort: Effort, stage: Stage) -> None:
    """Three rows: by events, by the jobsender, by check."""
    keys = hostile_keys()
    # moto takes the most of them: it keeps slashes, dots, controls and 1,025 bytes, as they are.
    moto = S3Server("moto", stage.aws.endpoint, checks_signatures=False)
    with dataclasses.replace(stage, source=moto).rig() as rig:
        held = stored(rig, keys if effort is Effort.FULL else few(keys, _SHORT))
        tally.bad_inputs += 3 * len(held)
        by_events(tally, rig, held, len(keys))
        by_listing(tally, rig, held)
        by_check(tally, rig, held)


def stored(rig: Rig, keys: Sequence[str]) -> dict[str, bytes]:
    """Those that the source takes, and their contents."""
    held = {}
    for number, key in enumerate(keys):
        content = b"%d %b" % (number, key.encode())
        if rig.source._raw("put_object", key, content, method="PUT")[0] == http.client.OK:
            held[key] = content
    return held


def by_events(tally: Tally, rig: Rig, held: dict[str, bytes], known: int) -> None:
    """Each key in an event of its own: byte for byte there, or a dead letter that says why."""
    rig.queue.send(*(rig.event(key, size=len(content)) for key, content in held.items()))
    tally.events += len(held)
    _empty(rig)
    letters = {json.loads(letter["body"])["Records"][0]["s3"]["object"]["key"]: letter["reason"]
               for letter in rig.queue.dead()}  # fmt: skip
    faults = _faults(rig, held)
    for key in held:
        reason, due = letters.get(quote_plus(key, safe="/")), gcs_key_fault(key)
        if due and due not in (reason or ""):
            faults.append(f"{key!a}: no dead letter that says {due!a}, but {reason!a}")
        if reason and not due:
            faults.append(f"{key!a}: dead-lettered without need: {reason!a}")
    told = f"{len(held)} of {known} tried" if len(held) < known else f"all {known}"
    note = f"{told} accepted by the source, {len(held) - len(letters)} copied, "
    _row(tally, "hostile keys: by events", held, faults, note + f"{len(letters)} dead-lettered")


def by_listing(tally: Tally, rig: Rig, held: dict[str, bytes]) -> None:
    """Every second copy is removed again: the jobsender misses just these, and they come back."""
    copied = sorted(key for key in held if not gcs_key_fault(key))
    removed = copied[::2]
    for key in removed:
        status, _, _ = rig.target._raw("delete_object", key, method="DELETE")
        assert status < http.client.BAD_REQUEST, (key, status)
    pair = ("--source-bucket", rig.source.bucket, "--destination-bucket", rig.target.bucket)
    sender = rig.begin("jobsender", *pair)
    code = sender.ended()
    faults = [] if code in _ENDINGS else [f"the jobsender ended with {code}: {sender.tail}"]
    said = sender.summary
    equal, queued = int(said["equal"]), int(said["queued"])
    most = len(removed) + len(held) - len(copied)
    if equal != len(copied) - len(removed) or not len(removed) <= queued <= most:
        faults.append(
            f"the jobsender saw {equal} equal, {queued} to send; {len(removed)} were gone"
        )
    _empty(rig)
    faults += _faults(rig, held)
    rig.queue.dead()
    note = f"{len(removed)} removed, {queued} sent by the jobsender, {equal} equal"
    _row(tally, "hostile keys: by the jobsender", held, faults, note)


def by_check(tally: Tally, rig: Rig, held: dict[str, bytes]) -> None:
    """Check sees every copy as equal, and misses just what Cloud Storage cannot hold."""
    refused = [key for key in held if gcs_key_fault(key)]
    check = rig.begin("check", "--source-bucket", rig.source.bucket, "--settle", "0", "--checksum")
    code = check.ended()
    classes = {name: one["objects"] for name, one in check.summary["classes"].items()}
    faults = []
    equal = sum(check.summary["equal_by"].values())
    missed = sum(classes.values())
    if (equal, missed) != (len(held) - len(refused), len(refused)) or code != bool(refused):
        faults.append(f"{code=} {equal=} {classes}; {len(refused)} cannot be there")
    note = f"{equal} equal by checksum, " + ", ".join(
        f"{count} {name}" for name, count in classes.items() if count
    )
    _row(tally, "hostile keys: by check", held, faults, note)


def _empty(rig: Rig) -> None:
    worker = rig.start("--until-empty")
    code = worker.ended()
    assert code in _ENDINGS, f"the worker ended with {code}: {worker.tail}"
    assert rig.queue.depth() == 0


def _faults(rig: Rig, held: dict[str, bytes]) -> list[str]:
    """What is not at the destination as it should be."""
    faults = []
    for key, content in held.items():
        if not gcs_key_fault(key):
            there = rig.target.get(key)
            if there is None or there.content != content:
                faults.append(f"{key!a}: {'missing' if there is None else 'other bytes'}")
    wanted = {key for key in held if not gcs_key_fault(key)}
    faults += [f"{key!a}: nobody sent it" for key in rig.target.keys() - wanted]
    return faults


def _row(tally: Tally, what: str, held: dict[str, bytes], faults: list[str], note: str) -> None:
    tally.unhandled += len(faults)
    tally.failures += [f"inputs: {what}: {fault}" for fault in faults]
    tally.row(_SECTION, what, len(held), max(0, len(held) - len(faults)), note)
