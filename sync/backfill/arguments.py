"""Options that the jobsender and `check` share."""

from __future__ import annotations

import argparse
from pathlib import Path

from sync.arguments import seconds, whole
from sync.backfill.options import moment
from sync.config import Settings
from sync.errors import ConfigError
from sync.model import BucketPair


def add_pair(group: argparse._ArgumentGroup) -> None:
    """Which buckets are compared."""
    group.add_argument("--bucket-list", type=Path, metavar="FILE", help="another list (JSON)")
    group.add_argument("--source-bucket", metavar="NAME", default="")
    group.add_argument(
        "--source-prefix",
        "--prefix",
        metavar="PREFIX",
        default="",
        help="only source keys that begin so",
    )
    group.add_argument(
        "--destination-bucket", metavar="NAME", default="", help="default: Des_bucket_default"
    )
    group.add_argument("--destination-prefix", metavar="PREFIX", help="default: Des_prefix_default")


def add_selection(group: argparse._ArgumentGroup) -> None:
    """What of them, and beside the size how."""
    group.add_argument("--etag", action="store_true", help="also by ETag, where both are MD5s")
    group.add_argument(
        "--checksum",
        action="store_true",
        help="also by stored checksums, where both sides have any: two requests an object",
    )
    group.add_argument(
        "--newer", action="store_true", help="also what changed after its copy was written"
    )
    group.add_argument(
        "--since", metavar="TIME", type=_moment, help="only objects modified then or later"
    )
    group.add_argument("--until", metavar="TIME", type=_moment, help="only objects modified before")
    group.add_argument(
        "--include-archived",
        action="store_true",
        help="GLACIER and DEEP_ARCHIVE are like any other (they have been restored)",
    )
    group.add_argument(
        "--sort", action="store_true", help="for stores that do not list in key order"
    )


def add_running(group: argparse._ArgumentGroup) -> None:
    """How the run goes."""
    group.add_argument("--keys-per-message", metavar="N", type=whole, default=1, help="default: 1")
    group.add_argument(
        "--connections", metavar="N", type=whole, default=8, help="ranges listed at once"
    )
    group.add_argument(
        "--progress", metavar="SECONDS", type=seconds, default=10.0, help="0: no lines of it"
    )
    group.add_argument(
        "--expect", metavar="N", type=whole, default=0, help="source objects, for the time left"
    )


def named_pair(arguments: argparse.Namespace, settings: Settings) -> list[BucketPair]:
    """The pair that `add_pair`'s options name; none where they name none."""
    if not arguments.source_bucket:
        if arguments.destination_bucket or arguments.destination_prefix is not None:
            raise ConfigError("name the pair's --source-bucket too, or leave all of it to the list")
        return []
    bucket = arguments.destination_bucket or settings.default_bucket
    if not bucket:
        raise ConfigError("name the pair's --destination-bucket, or set Des_bucket_default")
    prefix = arguments.destination_prefix
    return [
        BucketPair(
            arguments.source_bucket,
            arguments.source_prefix,
            bucket,
            settings.default_prefix if prefix is None else prefix,
        )
    ]


def _moment(text: str) -> float:
    try:
        return moment(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
