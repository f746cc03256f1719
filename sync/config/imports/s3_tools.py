"""The S3 tools' config.yml and environment variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from sync.config.imports.found import Import
from sync.config.kinds import Whole
from sync.config.queue_names import queue_names
from sync.errors import ConfigError

_DEFAULTS: Final = {"sqs.queue_num": "5", "sqs.queue_name_pattern": "s3-migration-{:0>2d}"}
_SIDES: Final = ("inventory", "copy", "copy_source")
_FIELDS: Final = ("profile_name", "region_name", "aws_access_key_id", "aws_secret_access_key")
_MOST: Final = 10_000
_DEEPEST: Final = 4
_VARIABLES: Final = {
    f"{side.upper()}_{field.upper()}": f"aws.{side}.{field}" for side in _SIDES for field in _FIELDS
} | {
    "QUEUE_NAME_PATTERN": "sqs.queue_name_pattern",
    "QUEUE_NUM": "sqs.queue_num",
    "DEAD_QUEUE_NAME": "sqs.dead_queue_name",
    "MAX_RECEIVE_NUM": "sqs.max_receive_num",
    "BATCH_NUM": "migration.batch_num",
}
_LEVELS: Final = {"CRITICAL": "ERROR", "FATAL": "ERROR", "WARN": "WARNING", "NOTSET": "DEBUG"}
_LEVEL_NAMES: Final = ("ERROR", "WARNING", "INFO", "DEBUG")
_LEFT: Final = {
    "migration.batch_num": "it is an option now: 3gsync jobsender --keys-per-message {}; messages "
    "are cut by their size in bytes too",
    "migration.tmp_dir": "objects travel through memory, nothing is written to disk",
    "sqs.visibility_timeout": "a message is held for LeaseSeconds (120) at a time and renewed "
    "while it is worked on; 3gsync queue init --visibility-timeout sets the queues' own",
    "sqs.message_retention_period": "it belongs to the queues: 3gsync queue init --retention {}",
    "sqs.max_receive_num": "as many messages are received as there is room for",
}
_QUEUES: Final = Whole(1, 1000)
_WAIT: Final = Whole(0, 20)


def import_s3_tools(document: object, environ: Mapping[str, str], source: str) -> Import:
    """What the file says, overridden by the variables, as their programs had it."""
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: a mapping with aws, migration and sqs is expected")
    given: dict[str, tuple[str, str]] = {}
    for name, text in _flat(document, ""):
        given[name] = (text, name)
        if len(given) > _MOST:
            raise ConfigError(f"{source}: more than {_MOST} values: no configuration of the tools")
    for variable, name in _VARIABLES.items():
        if environ.get(variable):
            given[name] = (environ[variable], variable)
    return _Importer(given, source).run()


def _flat(value: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """What is nested deeper than the tools' own values is left out: YAML's aliases can make a
    document of a few lines endless, or wider than any memory.
    """
    for name, inner in value.items():
        if isinstance(inner, dict):
            if prefix.count(".") < _DEEPEST:
                yield from _flat(inner, f"{prefix}{name}.")
        elif inner is not None and not _nested(inner):
            yield f"{prefix}{name}", str(inner)


def _nested(value: object) -> bool:
    several = isinstance(value, list | set | tuple)
    return several and any(isinstance(one, list | set | tuple | dict) for one in value)  # type: ignore[attr-defined]


class _Importer:
    """Goes through the settings; what it has seen is taken away from ``given``."""

    def __init__(self, given: dict[str, tuple[str, str]], source: str) -> None:
        self._given = given
        self._found = Import(source)

    def run(self) -> Import:
        self._sides()
        self._queues()
        self._log()
        self._habits()
        for name, (text, origin) in self._given.items():
            why = _LEFT.get(name, "there is no such setting in their tools or here")
            self._found.leave(origin, why.format(text))
        self._found.todo.append(
            "set Des_bucket_default: a worker does not start without the bucket that S3 events "
            "are copied to (their messages name their own)"
        )
        return self._found

    def _pop(self, name: str) -> tuple[str, str]:
        return self._given.pop(name, ("", name))

    # --- keys and regions -------------------------------------------------------------

    def _sides(self) -> None:
        found = self._found
        own = any(name.startswith("aws.copy_source.") for name in self._given)
        found.take("credentials by profile or environment", "JobType", "ENV")
        both = ("DEST",) if own else ("DEST", "SRC")
        self._side("copy", both, "DestProfileName", "DestEndPointURL")
        if own:
            self._side("copy_source", ("SRC",), "SrcProfileName", "SrcEndPointURL")
            found.todo.append(
                "the queues are asked with the source's keys (aws.copy_source); theirs were asked "
                "with those of aws.copy: allow the source's keys to use them"
            )
        else:
            for dest, src in (
                ("DestProfileName", "SrcProfileName"),
                ("DestEndPointURL", "SrcEndPointURL"),
            ):
                if dest in found.values:
                    found.take("aws.copy, for the source too", src, found.values[dest])
        for key in ("SrcEndPointURL", "DestEndPointURL"):
            if key not in found.values:
                found.take("no region: Amazon S3 at the region of the keys", key, "")
        self._inventory()

    def _side(self, side: str, prefixes: tuple[str, ...], profile: str, endpoint: str) -> None:
        text, origin = self._pop(f"aws.{side}.profile_name")
        if text:
            self._found.take(origin, profile, text)
        region, origin = self._pop(f"aws.{side}.region_name")
        if region:
            suffix = ".cn" if region.startswith("cn-") else ""
            self._found.take(origin, endpoint, f"https://s3.{region}.amazonaws.com{suffix}")
            if side == "copy":
                self._found.todo.append(
                    f"their queues are in {region}: give the source's keys that region, by their "
                    "profile, SRC_AWS_REGION or AWS_REGION"
                )
        for field in ("aws_access_key_id", "aws_secret_access_key"):
            text, origin = self._pop(f"aws.{side}.{field}")
            if text:
                variables = " and ".join(f"{prefix}_{field.upper()}" for prefix in prefixes)
                why = f"no key is written to a file: put it into the environment, as {variables}"
                self._found.leave(origin, why)

    def _inventory(self) -> None:
        for name in [name for name in self._given if name.startswith("aws.inventory.")]:
            _, origin = self._given.pop(name)
            self._found.leave(origin, "3gsync inventory reads manifests with the source's keys")

    # --- queues -----------------------------------------------------------------------

    def _queues(self) -> None:
        number, where = self._or_default("sqs.queue_num")
        pattern, origin = self._or_default("sqs.queue_name_pattern")
        names = _names(pattern, _whole(_QUEUES, number, where), origin)
        self._found.take(f"{origin} and {where}", "sqs_queue_name", _as_text(names))
        dead, origin = self._pop("sqs.dead_queue_name")
        if dead:
            self._found.take(origin, "dead_letter_queue_name", dead)
        wait, origin = self._pop("sqs.receive_message_wait_time")
        if wait:
            self._found.take(origin, "ReceiveWait", str(_whole(_WAIT, wait, origin)))

    def _or_default(self, name: str) -> tuple[str, str]:
        text, origin = self._pop(name)
        return (text, origin) if text else (_DEFAULTS[name], f"{name} (their default)")

    # --- the rest ---------------------------------------------------------------------

    def _log(self) -> None:
        level, origin = self._pop("migration.log_level")
        level = _LEVELS.get(level.upper(), level.upper())
        if level in _LEVEL_NAMES:
            self._found.take(origin, "LoggingLevel", level)
        elif level:
            self._found.leave(origin, f"there is no level of that name, only {_LEVEL_NAMES}")
        file, origin = self._pop("migration.log_file")
        if file:
            self._found.take(origin, "LogFolder", str(PurePath(file).parent))
            self._found.leave(origin, "the files in LogFolder are named by role and time")

    def _habits(self) -> None:
        """What their programs did without being told."""
        found = self._found
        found.take("their tools kept no table", "table_queue_name", "")
        found.take("their tools kept tags", "CopyTags", "True")
        ends = [found.values[key] for key in ("SrcEndPointURL", "DestEndPointURL")]
        one_store = len({end.endswith(".cn") for end in ends if end}) <= 1
        mode = "copy" if one_store else "downup"
        found.take("the executor's default --mode", "TransferMode", mode)
        if not one_store:
            found.todo.append("no store copies into China or out of it by itself: mode downup")


def _whole(kind: Whole, text: str, origin: str) -> int:
    try:
        value = kind.parse(text)
    except ValueError:
        raise ConfigError(f"{origin} = {text[:80]}: must be {kind.allowed}") from None
    assert value is not None
    return value


def _names(pattern: str, count: int, origin: str) -> tuple[str, ...]:
    """Their queues are numbered from 1."""
    try:
        names = [pattern.format(number) for number in range(1, count + 1)]
    except (ValueError, LookupError, AttributeError, TypeError):
        names = []
    if count > 1 and len(set(names)) == 1:
        raise ConfigError(f"{origin} = {pattern[:80]}: holds no place for the queue's number")
    try:
        return queue_names(",".join(names))
    except ValueError:
        raise ConfigError(
            f"{origin} = {pattern[:80]}: is no pattern of queue names like s3-migration-{{:0>2d}}"
        ) from None


def _as_text(names: tuple[str, ...]) -> str:
    """As a range in braces where one gives these very names, else as a list."""
    first, last = names[0], names[-1]
    for start in range(len(first)):
        for end in range(start + 1, len(first) + 1):
            low, ending = first[start:end], first[end:]
            high = last[start : len(last) - len(ending)]
            text = f"{first[:start]}{{{low}..{high}}}{ending}"
            if low.isdecimal() and high.isdecimal() and _gives(text, names):
                return text
    return ", ".join(names)


def _gives(text: str, names: tuple[str, ...]) -> bool:
    try:
        return len(names) > 1 and queue_names(text) == names
    except ValueError:
        return False
