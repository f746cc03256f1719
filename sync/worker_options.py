"""Worker options that stand for a key of config.ini, for one run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sync.config.keys import BY_NAME


@dataclass(frozen=True, slots=True)
class _Option:
    """An option and its key. ``value`` is what the key gets by an option that takes none."""

    flag: str
    key: str
    help: str
    metavar: str = ""
    value: str = ""

    @property
    def dest(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")


_OPTIONS: Final = (
    _Option("--queue", "sqs_queue_name", "take messages from this queue only", "NAME"),
    _Option(
        "--including-dead",
        "IncludeDeadQueue",
        "take messages from the dead-letter queue too",
        value="True",
    ),
    _Option(
        "--only-dead",
        "IncludeDeadQueue",
        "take messages from the dead-letter queue only",
        value="only",
    ),
    _Option("--mode", "TransferMode", "downup, copy or check", "MODE"),
    _Option("--verify", "VerifyBeforeCopy", "leave out what is equal already", value="True"),
    _Option("--modified-since", "ModifiedSince", "leave out objects from before", "TIME"),
    _Option("--not-modified-since", "NotModifiedSince", "leave out objects from then on", "TIME"),
)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add the options; a value that its key does not take is refused here."""
    group = parser.add_argument_group("in place of keys of the configuration, for this run")
    for option in _OPTIONS:
        text = f"{option.help} ({option.key})"
        if option.value:
            group.add_argument(option.flag, action="store_true", help=text)
        else:
            group.add_argument(
                option.flag, type=_valid(option.key), metavar=option.metavar, help=text
            )


def overrides(arguments: argparse.Namespace) -> dict[str, str]:
    """The options given, as environment variables that come before the file."""
    given = _given(arguments)
    return {BY_NAME[option.key.lower()].override: value for option, value in given}


def override_arguments(arguments: argparse.Namespace) -> list[str]:
    """The options given, for a child's command line."""
    found = []
    for option, value in _given(arguments):
        found += [option.flag] if option.value else [option.flag, value]
    return found


def _given(arguments: argparse.Namespace) -> Iterator[tuple[_Option, str]]:
    for option in _OPTIONS:
        value = getattr(arguments, option.dest, None)
        if value:
            yield option, option.value or value


def _valid(name: str) -> Callable[[str], str]:
    kind = BY_NAME[name.lower()].kind

    def valid(text: str) -> str:
        try:
            kind.parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: must be {kind.allowed}") from None
        return text

    return valid
