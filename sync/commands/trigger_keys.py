"""Which keys of which buckets: from ``prefix_list.txt`` or from the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sync.adapters.notification_plan import KeyFilter, key_fault
from sync.errors import ConfigError

LIST_NAME: Final = "prefix_list.txt"
ALL: Final = "*"
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]")
_SECTION: Final = re.compile(rf"\[({_BUCKET.pattern})\]")
_MOST_FIELDS: Final = 2


@dataclass(slots=True)
class PrefixList:
    """The filters of a list file. ``common`` are those before the first ``[bucket]``."""

    common: list[KeyFilter] = field(default_factory=list)
    by_bucket: dict[str, list[KeyFilter]] = field(default_factory=dict)

    def of(self, bucket: str) -> list[KeyFilter]:
        """The filters for a bucket, each once."""
        return list(dict.fromkeys([*self.common, *self.by_bucket.get(bucket, ())]))


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say which keys."""
    parser.add_argument(
        "--prefix", action="append", metavar="TEXT", help="keys that begin so; may be repeated"
    )
    parser.add_argument(
        "--suffix", action="append", metavar="TEXT", help="keys that end so; may be repeated"
    )
    parser.add_argument("--all-keys", action="store_true", help="every key of the bucket")


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that name a list file."""
    parser.add_argument(
        "--prefix-list",
        type=Path,
        metavar="FILE",
        help=f"file with one prefix a line; without any choice of keys: {LIST_NAME} here",
    )
    parser.add_argument("--default-prefix-list", type=Path, help=argparse.SUPPRESS)


def filters_by_bucket(arguments: argparse.Namespace) -> dict[str, list[KeyFilter]]:
    """The filters for each bucket, none of them empty. ConfigError says what to mend."""
    listed = _given(arguments) or _read_list(arguments)
    buckets = checked_buckets(arguments.bucket) or list(listed.by_bucket)
    if not buckets:
        raise ConfigError("no bucket: name one, or head lines of the list with [bucket]")
    found = {bucket: listed.of(bucket) for bucket in buckets}
    if empty := [bucket for bucket, filters in found.items() if not filters]:
        raise ConfigError(*(f"bucket {name}: the list has no line for it" for name in empty))
    return found


def listed_buckets(arguments: argparse.Namespace) -> list[str]:
    """The buckets named, or else those of the list file."""
    named = checked_buckets(arguments.bucket)
    path = arguments.prefix_list or arguments.default_prefix_list
    if not named and path and path.is_file():
        named = list(_parse(path).by_bucket)
    if not named:
        raise ConfigError("no bucket: name at least one")
    return named


def checked_buckets(names: Sequence[str]) -> list[str]:
    """The names, each once. ConfigError for one that is no bucket's name."""
    wrong = [name for name in names if not _BUCKET.fullmatch(name)]
    if wrong:
        raise ConfigError(*(_no_bucket(name) for name in wrong))
    return list(dict.fromkeys(names))


def given_filters(arguments: argparse.Namespace) -> list[KeyFilter]:
    """Every prefix with every suffix of the command line; nothing where it has none."""
    prefixes, suffixes = arguments.prefix or [], arguments.suffix or []
    faults = [
        f"--{name} is empty: write --all-keys if you mean every key"
        for name, given in (("prefix", prefixes), ("suffix", suffixes))
        if "" in given
    ]
    texts = [*(prefix for prefix in prefixes if prefix != ALL), *suffixes]
    faults += filter(None, map(key_fault, texts))
    if arguments.all_keys and (prefixes or suffixes):
        faults.append("--all-keys does not go with --prefix or --suffix")
    if faults:
        raise ConfigError(*faults)
    if not (prefixes or suffixes or arguments.all_keys):
        return []
    plain = ["" if prefix == ALL else prefix for prefix in prefixes] or [""]
    pairs = (KeyFilter(prefix, suffix) for prefix in plain for suffix in suffixes or [""])
    return list(dict.fromkeys(pairs))


def _given(arguments: argparse.Namespace) -> PrefixList | None:
    filters = given_filters(arguments)
    if filters and arguments.prefix_list:
        raise ConfigError("--prefix-list does not go with --prefix, --suffix or --all-keys")
    return PrefixList(common=filters) if filters else None


def _read_list(arguments: argparse.Namespace) -> PrefixList:
    path = arguments.prefix_list or arguments.default_prefix_list or Path(LIST_NAME)
    if arguments.prefix_list is None and not path.is_file():
        raise ConfigError(
            f"no keys chosen, and there is no {path}: give --prefix, --suffix, --prefix-list or "
            "--all-keys"
        )
    return _parse(path)


def _parse(path: Path) -> PrefixList:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8; save it as UTF-8") from None
    return parse_list(text, str(path))


def parse_list(text: str, name: str = LIST_NAME) -> PrefixList:
    """The list: ``prefix`` or ``prefix TAB suffix`` a line, ``*`` for any prefix, ``[bucket]``
    heads the lines of one bucket, ``#`` begins a remark. ConfigError where it has no filter.
    """
    found, current, faults = PrefixList(), None, []
    for number, line in _lines(text):
        if section := _SECTION.fullmatch(line.strip()):
            current = found.by_bucket.setdefault(section[1], [])
            continue
        try:
            (found.common if current is None else current).append(_filter(line))
        except ValueError as error:
            faults.append(f"{name}:{number}: {error}")
    if not faults and not (found.common or any(found.by_bucket.values())):
        faults.append(f"{name}: has no prefix in it; write one a line, or * alone for all keys")
    if faults:
        raise ConfigError(*faults)
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something. Only line feeds end them: keys may hold other separators."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.rstrip()


def _filter(line: str) -> KeyFilter:
    fields = [text.strip() for text in re.split(r"\t+", line)]
    if not fields[0]:
        raise ValueError("nothing before the tab; write * for any prefix")
    if len(fields) > _MOST_FIELDS:
        raise ValueError("more than a prefix and a suffix")
    prefix, suffix = (*fields, "")[:2]
    if fault := key_fault(suffix) or (prefix != ALL and key_fault(prefix)):
        raise ValueError(fault)
    return KeyFilter("" if prefix == ALL else prefix, suffix)


def _no_bucket(name: str) -> str:
    if name.startswith("s3://"):
        bucket, _, prefix = name.removeprefix("s3://").partition("/")
        hint = f" --prefix {prefix}" if prefix else ""
        return f"{name}: write {bucket}{hint}"
    return f"{name!r}: no bucket's name (3 to 222 letters, digits, -, _ and .)"
