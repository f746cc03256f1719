"""``3gsync queue init``: queues and dead-letter queue, made or compared."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sync.adapters.aws_tools import open_aws
from sync.adapters.queue_admin import QueueAdmin, QueueState
from sync.adapters.queue_plan import (
    Difference,
    QueueSettings,
    dead_letter_attributes,
    differences,
    policy_for,
    queue_attributes,
)
from sync.arguments import whole
from sync.commands.output import json_line
from sync.commands.queue_options import add_common, names_of
from sync.config import Settings, load
from sync.errors import ConfigError

_DIFFERS: Final = 3
_DEFAULTS: Final = QueueSettings()
# What SQS allows, from its reference of SetQueueAttributes.
_LIMITS: Final = {
    "visibility_timeout": (0, 12 * 3600),
    "retention": (60, 14 * 24 * 3600),
    "receive_wait": (0, 20),
    "max_receive_count": (1, 1000),
}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one queue: created, unchanged, differs, changed; or would be."""

    name: str
    action: str
    differences: tuple[Difference, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    add_common(parser)
    parser.add_argument("--dead-queue", metavar="NAME", default="", help="dead-letter queue")
    _seconds(parser, "visibility_timeout", "visibility time-out of the queues")
    _seconds(parser, "retention", "how long messages are kept, in all queues")
    _seconds(parser, "receive_wait", "long poll of all queues")
    parser.add_argument(
        "--max-receive-count",
        type=whole,
        metavar="N",
        default=_DEFAULTS.max_receive_count,
        help=f"receipts after which SQS moves a message away ({_DEFAULTS.max_receive_count})",
    )
    parser.add_argument(
        "--allow-bucket",
        metavar="BUCKET",
        action="append",
        default=[],
        help="let S3 send events of this bucket, and everybody only over TLS; may be repeated",
    )
    parser.add_argument(
        "--bucket-account", metavar="ID", default="", help="account of those buckets, if another"
    )
    parser.add_argument(
        "--update", action="store_true", help="change existing queues that differ, too"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _seconds(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    default = getattr(_DEFAULTS, name)
    parser.add_argument(
        f"--{name.replace('_', '-')}",
        type=int,
        metavar="SECONDS",
        default=default,
        help=f"{text} ({default})",
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Make what is missing; 3 where existing queues differ and stay so."""
    settings = load(arguments.config, environ)
    names = names_of(arguments, settings)
    _check(arguments, names)
    done = asyncio.run(_init(arguments, settings, environ, names))
    for one in done:
        print(f"{one.name}: {one.action}")
        for difference in one.differences:
            print(f"  {difference}")
    if arguments.max_receive_count < settings.max_receives:
        print(
            f"note: after {arguments.max_receive_count} receipts SQS moves a message itself, "
            f"without a reason; MaxReceives is {settings.max_receives}, set it lower or "
            "--max-receive-count higher"
        )
    differing = any(one.action == "differs" for one in done)
    if differing:
        print("nothing of an existing queue was changed; --update does it")
    if arguments.json:
        print(json_line(_report(done, dry_run=arguments.dry_run)))
    return _DIFFERS if differing else os.EX_OK


def _report(done: Sequence[Done], *, dry_run: bool) -> dict[str, object]:
    queues = [
        {
            "name": one.name,
            "action": one.action,
            "differences": [
                {"attribute": d.attribute, "present": d.present, "wanted": d.wanted}
                for d in one.differences
            ],
        }
        for one in done
    ]
    return {"queues": queues, "dry_run": dry_run}


def _check(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    faults = [
        f"{name}: S3 sends events to standard queues only, and order is not needed: "
        "choose a name without .fifo"
        for name in (*names, arguments.dead_queue)
        if name.endswith(".fifo")
    ]
    for name, (low, high) in _LIMITS.items():
        if not low <= getattr(arguments, name) <= high:
            faults.append(f"--{name.replace('_', '-')}: SQS allows {low} to {high}")
    account = arguments.bucket_account
    if account and not (account.isdecimal() and len(account) == 12):  # noqa: PLR2004  AWS's form
        faults.append(f"--bucket-account {account}: an account's number has 12 digits")
    if faults:
        raise ConfigError(*faults)


def default_dead_queue(names: Sequence[str]) -> str:
    """``jobs-dead`` for ``jobs``, ``s3-migration-dead`` for ``s3-migration-01`` and its like."""
    stem = names[0]
    if len(names) > 1:
        # Names, not paths: letter by letter is what is wanted.
        common = os.path.commonprefix(names)  # noqa: RUF071  see above
        stem = re.sub(r"[-_]?[0-9]*$", "", common)
    if not stem:
        raise ConfigError("the queues' names have no beginning in common: give --dead-queue NAME")
    return f"{stem}-dead"


async def _init(
    arguments: argparse.Namespace,
    settings: Settings,
    environ: Mapping[str, str],
    names: Sequence[str],
) -> list[Done]:
    named = arguments.dead_queue or settings.dead_letter_queue
    dead = named or default_dead_queue(names)
    if dead in names:
        raise ConfigError(f"{dead}: the dead-letter queue must be another than the queue")
    async with open_aws(settings, environ) as tools:
        return await _Init(arguments, await tools.queues()).run(names, dead, given=bool(named))


class _Init:
    """One run over all queues."""

    def __init__(self, arguments: argparse.Namespace, admin: QueueAdmin) -> None:
        self._arguments = arguments
        self._admin = admin
        self._wanted = QueueSettings(
            visibility_timeout=arguments.visibility_timeout,
            retention=arguments.retention,
            receive_wait=arguments.receive_wait,
            max_receive_count=arguments.max_receive_count,
        )

    async def run(self, names: Sequence[str], dead: str, *, given: bool) -> list[Done]:
        """The dead-letter queue first: the others name its ARN. A queue that has one of its
        own keeps it where none was ``given``.
        """
        present = {name: await self._admin.look(name) for name in names}
        own = {} if given else await self._own(present)
        done, dead_arn = [], ""
        if any(name not in own for name in names):
            one, dead_arn = await self._dead_letter_queue(dead)
            done.append(one)
        others = {state.arn: state for state in own.values() if state.arn != dead_arn}
        attributes = dead_letter_attributes(self._wanted)
        done += [await self._compare(state, attributes) for state in others.values()]
        for name, state in present.items():
            target = own[name].arn if name in own else dead_arn
            done.append(await self._queue(name, state, queue_attributes(self._wanted, target)))
        return done

    async def _own(self, present: Mapping[str, QueueState | None]) -> dict[str, QueueState]:
        """The dead-letter queues that existing queues name, as far as they are there."""
        named = {n: state.dead_letter_arn for n, state in present.items() if state}
        found = {arn: await self._admin.look(arn) for arn in sorted(set(named.values()) - {""})}
        return {n: state for n, arn in named.items() if (state := found.get(arn))}

    async def _dead_letter_queue(self, name: str) -> tuple[Done, str]:
        state = await self._admin.look(name)
        attributes = dead_letter_attributes(self._wanted)
        if state is not None:
            return await self._compare(state, attributes), state.arn
        if self._arguments.dry_run:
            return Done(name, "would be created"), f"arn:{name}"
        return Done(name, "created"), (await self._admin.create(name, attributes)).arn

    async def _queue(self, name: str, state: QueueState | None, attributes: dict[str, str]) -> Done:
        if state is not None:
            return await self._compare(state, attributes | self._policy(state))
        if self._arguments.dry_run:
            return Done(name, "would be created")
        made = await self._admin.create(name, attributes)
        # The policy names the queue's ARN, which SQS gives.
        if policy := self._policy(made):
            await self._admin.change(made, policy)
        return Done(name, "created")

    def _policy(self, state: QueueState) -> dict[str, str]:
        if not self._arguments.allow_bucket:
            return {}
        text = policy_for(
            state.attributes.get("Policy", ""),
            queue_arn=state.arn,
            buckets=self._arguments.allow_bucket,
            bucket_account=self._arguments.bucket_account,
        )
        return {"Policy": text}

    async def _compare(self, state: QueueState, attributes: Mapping[str, str]) -> Done:
        found = differences(state.attributes, attributes)
        if not found:
            return Done(state.name, "unchanged")
        if not self._arguments.update:
            return Done(state.name, "differs", found)
        if self._arguments.dry_run:
            return Done(state.name, "would be changed", found)
        await self._admin.change(state, {one.attribute: one.wanted for one in found})
        return Done(state.name, "changed", found)
