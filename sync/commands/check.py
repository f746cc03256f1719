"""``3gsync check``: proves that destinations equal their sources.

Exit codes: 0 equal; 1 something could not be compared; 2 wrong use or configuration;
3 differences found.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sync.arguments import seconds
from sync.backfill.arguments import add_pair, add_running, add_selection, named_pair
from sync.backfill.logs import set_up_logs
from sync.checking.options import CheckOptions
from sync.checking.result import CheckResult
from sync.checking.run import check
from sync.checking.terminal import lines
from sync.commands.output import json_line
from sync.config import load
from sync.engine.comparing.closer_look import Depth, Reading
from sync.engine.comparing.compare import Comparing
from sync.errors import ConfigError
from sync.worker import loop_factory, rest_the_collector

_EXIT: Final = {"equal": 0, "incomplete": 1, "different": 3}
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%").fullmatch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    add_pair(parser.add_argument_group("what is compared (default: the bucket list)"))
    _add_levels(parser.add_argument_group("how it is compared (beside the size in the listings)"))
    _add_live(parser.add_argument_group("what is left out, and buckets in use"))
    _add_done(parser.add_argument_group("what is done"))


def _add_levels(group: argparse._ArgumentGroup) -> None:
    add_selection(group)
    group.add_argument(
        "--read",
        nargs="?",
        const=Reading.BOTH.value,
        default=Reading.NONE.value,
        choices=[Reading.BOTH.value, Reading.SOURCE.value],
        help="read both sides whole, or the source where the destination states a checksum; "
        "with --checksum only what that leaves open",
    )
    group.add_argument(
        "--sample",
        metavar="SHARE",
        type=_share,
        default=1.0,
        help="closer looks at such a share of the objects only: 1%%",
    )
    group.add_argument("--seed", metavar="TEXT", default="", help="another sample")


def _add_live(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--settle",
        metavar="SECONDS",
        type=seconds,
        default=10.0,
        help="a difference is told if it is still there so much later (default: 10)",
    )
    group.add_argument(
        "--no-second-look",
        action="store_true",
        help="tell differences as the listings show them: for buckets at rest",
    )
    group.add_argument(
        "--ignore-extraneous",
        action="store_true",
        help="what only the destination has is no difference",
    )
    group.add_argument(
        "--ignore-archived",
        action="store_true",
        help="what cannot be copied or read before it is restored is no difference",
    )
    group.add_argument(
        "--allow-unverified",
        action="store_true",
        help="what checksums leave open does not fail the check",
    )


def _add_done(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--report", metavar="FILE", type=Path, help="a line of JSON a difference")
    group.add_argument("--html", metavar="FILE", type=Path, help="a page that stands alone")
    group.add_argument("--repair", action="store_true", help="queue what differs to be copied")
    add_running(group)
    group.add_argument(
        "--json", action="store_true", help="end with one line of JSON with all counts"
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Compare and report; returns the exit code."""
    settings = load(arguments.config, environ)
    options = _options(arguments)
    pairs = named_pair(arguments, settings)
    _try_to_write(options)
    set_up_logs(settings, "check")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        rest_the_collector()
        result = runner.run(
            check(settings, environ, options, pairs, bucket_list=arguments.bucket_list)
        )
    _tell(result, as_json=arguments.json)
    return _EXIT[result.verdict]


def _tell(result: CheckResult, *, as_json: bool) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines(result):
        print(line.encode(encoding, "backslashreplace").decode(encoding))
    if result.options.html is not None:
        from sync.checking.page import write_page  # noqa: PLC0415  jinja2 only where it is needed

        write_page(result, result.options.html)
    if as_json:
        print(json_line(result.figures()), flush=True)


def _options(arguments: argparse.Namespace) -> CheckOptions:
    depth = Depth(checksum=arguments.checksum, reading=Reading(arguments.read))
    _require(arguments, depth)
    return CheckOptions(
        depth=depth,
        how=Comparing(
            etag=arguments.etag,
            modified=arguments.newer,
            archived_too=arguments.include_archived,
        ),
        sample=arguments.sample,
        seed=arguments.seed,
        settle=None if arguments.no_second_look else arguments.settle,
        since=arguments.since,
        until=arguments.until,
        prefix=arguments.source_prefix,
        ignore_extraneous=arguments.ignore_extraneous,
        ignore_archived=arguments.ignore_archived,
        allow_unverified=arguments.allow_unverified,
        repair=arguments.repair,
        keys_per_message=arguments.keys_per_message,
        report=arguments.report,
        html=arguments.html,
        sort=arguments.sort,
        connections=arguments.connections,
        progress=arguments.progress,
        expect=arguments.expect,
    )


def _require(arguments: argparse.Namespace, depth: Depth) -> None:
    faults = []
    if arguments.sample < 1 and not depth.closer:
        faults.append("--sample is of closer looks: say --checksum or --read too")
    if arguments.seed and arguments.sample == 1:
        faults.append("--seed chooses a sample: say --sample 1% too")
    if arguments.ignore_archived and arguments.include_archived:
        faults.append("--ignore-archived and --include-archived contradict each other")
    if arguments.allow_unverified and not depth.checksum:
        faults.append("--allow-unverified is about what --checksum leaves open: say that too")
    if faults:
        raise ConfigError(*faults)


def _try_to_write(options: CheckOptions) -> None:
    """A day's comparing must not end with a page that cannot be written."""
    if options.html is not None:
        try:
            options.html.open("a").close()
        except OSError as error:
            raise ConfigError(f"--html {options.html}: cannot be written: {error}") from None


def _share(text: str) -> float:
    found = _SHARE(text)
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: write 1%, 0.5% or 25%")
    return share
