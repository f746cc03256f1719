"""``3gsync triggers``: which events of a bucket go to the queue."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sync.adapters.credentials import providers
from sync.adapters.notification_plan import CREATED, REMOVED, Plan, filter_text, plan_remove
from sync.adapters.triggers import Access, TargetQueue, TriggerCalls
from sync.commands.output import json_line
from sync.commands.trigger_change import AddRequest, Proposals, Writer, propose, set_policy
from sync.commands.trigger_keys import (
    ALL,
    add_key_arguments,
    add_list_arguments,
    checked_buckets,
    filters_by_bucket,
    given_filters,
    listed_buckets,
)
from sync.commands.trigger_texts import (
    bucket_json,
    bucket_table,
    plan_json,
    plan_lines,
    policy_lines,
)
from sync.config import JobType, Settings, load
from sync.config.settings import AWS, dialect_of
from sync.errors import ConfigError, SyncError
from sync.ports import Credentials

_FAILED: Final = 1
_ACCOUNT: Final = re.compile(r"([0-9]{12})?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's actions and options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add_action(actions.add_parser("add", help="send a bucket's events to the queue"))
    listing = actions.add_parser("list", help="show all notifications of buckets")
    _common(listing)
    add_list_arguments(listing)
    listing.set_defaults(action=_list)
    removing = actions.add_parser("remove", help="take 3GSync's own notifications away")
    _common(removing)
    add_key_arguments(removing)
    removing.add_argument("--all", action="store_true", help="all of 3GSync's own")
    _writing(removing)
    removing.set_defaults(action=_remove)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do what the action says; returns the exit code."""
    return int(arguments.action(arguments, environ))


def _add_action(adding: argparse.ArgumentParser) -> None:
    _common(adding)
    add_key_arguments(adding)
    add_list_arguments(adding)
    adding.add_argument(
        "--queue", metavar="NAME", default="", help="name, URL or ARN; else sqs_queue_name"
    )
    adding.add_argument(
        "--deletes",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="removals and expiries too; else as SyncDeletes says",
    )
    adding.add_argument(
        "--replace", action="store_true", help="in place of all of 3GSync's own, in one step"
    )
    adding.add_argument(
        "--bucket-owner", metavar="ACCOUNT", default="", help="where it is not the queue's account"
    )
    adding.add_argument(
        "--set-queue-policy", action="store_true", help="let S3 send, where the policy does not yet"
    )
    adding.add_argument(
        "--filters",
        choices=("auto", "encoded", "plain"),
        default="auto",
        help="how prefixes are written: Amazon wants special characters encoded, other stores not",
    )
    adding.add_argument(
        "--skip-destination-validation",
        action="store_true",
        help="S3 is not to try the queues and topics, where another one's is broken",
    )
    _writing(adding)
    adding.set_defaults(action=_add)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bucket", nargs="*", metavar="BUCKET", help="a source bucket")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument(
        "--profile", metavar="NAME", default="", help="AWS profile to use in place of the keys"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def _writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show the change, make none")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _add(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load(arguments.config, environ)
    request = _request(arguments, settings, filters_by_bucket(arguments))
    calls = _open(arguments, settings, environ, with_queue=True)
    queue = calls.queue(_queue_name(arguments, settings))
    found = propose(calls, queue, request)
    _show(found)
    if found.faults:
        raise ConfigError(*found.faults)
    outcome = Outcome([(each.plan, each.owner) for each in found.each])
    outcome.extra = _added(queue, found)
    opened = found.to_let_in if request.set_policy else []
    if _go_on(arguments, changing=outcome.changing or bool(opened)):
        if opened:
            set_policy(calls, queue, opened)
            print(f"queue {queue.arn}: its policy lets S3 send")
        skip = request.skip_validation
        outcome.write(Writer(calls=calls, skip_validation=skip, patient=bool(opened)))
    return outcome.end(arguments)


def _show(found: Proposals) -> None:
    for proposal in found.each:
        _say(plan_lines(proposal.plan))
    _say(policy_lines(found.strangers))
    _say(f"warning: {text}" for text in found.warnings)


def _request(
    arguments: argparse.Namespace, settings: Settings, filters: Mapping[str, Any]
) -> AddRequest:
    if not _ACCOUNT.fullmatch(arguments.bucket_owner):
        raise ConfigError(f"--bucket-owner {arguments.bucket_owner}: an account has 12 digits")
    deletes = settings.sync_deletes if arguments.deletes is None else arguments.deletes
    aws = settings.src_dialect == AWS
    return AddRequest(
        filters=filters,
        events=CREATED + REMOVED if deletes else CREATED,
        encoded=aws if arguments.filters == "auto" else arguments.filters == "encoded",
        replace=arguments.replace,
        aws=aws,
        owner=arguments.bucket_owner,
        set_policy=arguments.set_queue_policy,
        skip_validation=arguments.skip_destination_validation,
    )


def _queue_name(arguments: argparse.Namespace, settings: Settings) -> str:
    name = arguments.queue or settings.queue_name
    if not name or "," in name or "{" in name:
        raise ConfigError(f"sqs_queue_name is {name!r}: name one queue with --queue")
    return str(name)


def _added(queue: TargetQueue, found: Proposals) -> dict[str, Any]:
    grants = {each.plan.bucket: each.grant.value for each in found.each}
    return {"queue": queue.arn, "grants": grants, "warnings": found.warnings}


def _remove(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    buckets = checked_buckets(arguments.bucket)
    if not buckets:
        raise ConfigError("no bucket: name at least one")
    if arguments.all is bool(given_filters(arguments)):
        raise ConfigError("say which: --prefix, --suffix or --all-keys; or --all for all our own")
    calls = _open(arguments, load(arguments.config, environ), environ)
    plans = [_plan_remove(calls, arguments, bucket) for bucket in buckets]
    if not arguments.all and not any(plan.removed for plan in plans):
        raise ConfigError("3GSync has no such notification there; see `3gsync triggers list`")
    for plan in plans:
        _say(plan_lines(plan))
    outcome = Outcome([(plan, "") for plan in plans])
    if _go_on(arguments, changing=outcome.changing):
        outcome.write(Writer(calls=calls))
    return outcome.end(arguments)


def _plan_remove(calls: TriggerCalls, arguments: argparse.Namespace, bucket: str) -> Plan:
    prefixes = _spellings(arguments.prefix, all_keys=arguments.all_keys)
    suffixes = _spellings(arguments.suffix, all_keys=arguments.all_keys)
    document = calls.notifications(bucket)
    return plan_remove(
        bucket,
        document,
        lambda own: (
            (prefixes is None or own.prefix in prefixes)
            and (suffixes is None or own.suffix in suffixes)
        ),
    )


def _spellings(texts: Sequence[str] | None, *, all_keys: bool) -> set[str] | None:
    """The filter values that mean one of the texts; None where any will do."""
    if not texts:
        return {""} if all_keys else None
    plain = ["" if text == ALL else text for text in texts]
    return {filter_text(text, encoded=encoded) for text in plain for encoded in (True, False)}


def _list(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    calls = _open(arguments, load(arguments.config, environ), environ)
    found, errors = {}, {}
    for bucket in listed_buckets(arguments):
        try:
            found[bucket] = calls.notifications(bucket, to_change=False)
        except SyncError as error:
            errors[bucket] = str(error)
    for bucket, document in found.items():
        _say(bucket_table(bucket, document))
    _complain(errors)
    if arguments.json:
        told = [bucket_json(bucket, document) for bucket, document in found.items()]
        print(json_line({"buckets": told, "errors": errors}))
    return _FAILED if errors else 0


def _open(
    arguments: argparse.Namespace,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    with_queue: bool = False,
) -> TriggerCalls:
    if arguments.profile:
        settings = replace(settings, job_type=JobType.ENV, src_profile=arguments.profile)
    s3_keys, sqs_keys = asyncio.run(_keys(settings, environ, with_queue=with_queue))
    region = sqs_keys.region or s3_keys.region
    if not region:
        raise ConfigError("no region: set AWS_REGION, or a region with the keys")
    return TriggerCalls(
        Access(
            s3_keys=s3_keys,
            sqs_keys=sqs_keys,
            region=region,
            profile=settings.src_profile,
            s3_endpoint=_endpoint(settings),
            ca_bundle=settings.ca_bundle,
        )
    )


async def _keys(
    settings: Settings, environ: Mapping[str, str], *, with_queue: bool
) -> tuple[Credentials, Credentials]:
    found = providers(settings, environ)
    source = await found.source.credentials()
    return source, await found.queue.credentials() if with_queue else source


def _endpoint(settings: Settings) -> str:
    """Nothing leaves Amazon's own to boto3, which follows a bucket into its region."""
    given = settings.given.get("SrcEndPointURL")
    default = given is None or given.where == "default"
    own = default or dialect_of(settings.src_endpoint) == AWS
    return "" if own else settings.src_endpoint


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _complain(errors: Mapping[str, str]) -> None:
    for text in errors.values():
        print(f"3gsync: {text}", file=sys.stderr)


def _go_on(arguments: argparse.Namespace, *, changing: bool) -> bool:
    """Whether to write; asks only at a terminal. ConfigError where nobody can be asked."""
    if not changing:
        print("nothing to change")
        return False
    if arguments.dry_run:
        print("dry run: nothing is written")
        return False
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError("nobody to ask: add --yes to write this, or --dry-run to look only")
    try:
        answer = input("Write this? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in {"y", "yes"}:
        raise SyncError("nothing was written")
    return True


@dataclass(slots=True)
class Outcome:
    """The plans with their buckets' owners, and what became of them."""

    plans: Sequence[tuple[Plan, str]]
    written: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def changing(self) -> bool:
        """Whether any bucket changes."""
        return any(plan.changes for plan, _ in self.plans)

    def write(self, writer: Writer) -> None:
        """One bucket after another; one that fails does not keep the others."""
        for plan, owner in self.plans:
            try:
                if plan.changes:
                    writer.write(plan, owner)
                    self.written.append(plan.bucket)
                    print(f"bucket {plan.bucket}: written and read back")
            except SyncError as error:
                self.errors[plan.bucket] = str(error)

    def end(self, arguments: argparse.Namespace) -> int:
        """Tell; the exit code."""
        _complain(self.errors)
        if arguments.json:
            told = {
                "dry_run": arguments.dry_run,
                "buckets": [plan_json(plan) for plan, _ in self.plans],
                "written": self.written,
                "errors": self.errors,
            }
            print(json_line(told | self.extra))
        return _FAILED if self.errors else 0
