"""ini text and environment -> Settings, with every fault reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any, Final

from sync.config.inifile import Parsed, parse
from sync.config.keys import CONFIG_VARIABLE, KEYS, PREFIX, Key
from sync.config.kinds import FilePath
from sync.config.rules import Finding, findings
from sync.config.settings import Given, JobType, Settings, dialect_of
from sync.errors import ConfigError

NAMES: Final = ("config.ini", "s3_migration_cluster_config.ini")
DEFAULT: Final = "default"
_VARIABLE: Final = "environment variable "
_BESIDE_OR_HERE: Final = ("ignore_list", "bucket_list")
_OLD_BUDGET: Final = 5  # the default MaxThread and MaxParallelFile once had, each


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings from the file, overridden by the environment, filled up with defaults.

    Without ``path``: the file that ``THREEGSYNC_CONFIG`` names, else ``config.ini`` or
    ``s3_migration_cluster_config.ini`` in the working folder, else in the folder of a clone;
    where there is none the defaults hold. Raises ConfigError with one line for each fault.
    """
    found = path or find(environ)
    parsed = parse(_read(found), str(found)) if found else Parsed()
    notes = list(adapt_old_file(parsed.given))
    given = parsed.given | _overrides(environ, parsed.faults)
    if found is None:
        notes.append("no config.ini found: the defaults hold")
    settings = _Builder(given, found, parsed.faults).build()
    if parsed.faults:
        raise ConfigError(*parsed.faults)
    return replace(settings, notes=tuple(notes) + settings.notes)


def find(environ: Mapping[str, str]) -> Path | None:
    """The configuration file to use where none is named."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    folders = [Path()]
    clone = Path(__file__).resolve().parents[2]
    # site-packages is no clone, and a config.ini there is somebody else's.
    if (clone / "pyproject.toml").is_file():
        folders.append(clone)
    candidates = (folder / name for folder in folders for name in NAMES)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"{path}: cannot be read: {reason}; name a file with --config") from None


def _overrides(environ: Mapping[str, str], faults: list[str]) -> dict[str, Given]:
    given = {
        key.name: Given(environ[name].strip(), _VARIABLE + name)
        for key in KEYS
        for name in (key.variable, key.override)
        # An older variable that is empty was never meant to switch anything off.
        if name and name in environ and (name == key.override or environ[name].strip())
    }
    known = [key.override for key in KEYS]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            faults.append(f"{_VARIABLE}{name}: unknown{hint}")
    return given


def adapt_old_file(given: dict[str, Given]) -> Iterator[str]:
    """Fill in what a cluster configuration leaves out, as its programs understood it."""
    mark = given.get("LocalProfileMode")
    if mark is None:
        return
    if not given.keys() & {"SrcEndPointURL", "DestEndPointURL"}:
        for name in ("SrcEndPointURL", "DestEndPointURL"):
            given[name] = Given("", f"cluster file, see {mark.where}")
        yield "cluster configuration without end points: both sides are Amazon S3"
    if "sqs_queue_name" not in given and "table_queue_name" in given:
        given["sqs_queue_name"] = given["table_queue_name"]
        yield "cluster configuration without sqs_queue_name: the queue is named like the table"


class _Builder:
    """Turns texts into Settings; collects faults and goes on with the default."""

    def __init__(self, given: dict[str, Given], path: Path | None, faults: list[str]) -> None:
        self._given = {k.name: given.get(k.name, Given(k.default, DEFAULT)) for k in KEYS}
        self._path = path
        self._faults = faults
        self._failed: set[str] = set()

    def build(self) -> Settings:
        values: dict[str, Any] = {key.field: self._value(key) for key in KEYS}
        settings = Settings(**self._derive(values), path=self._path, given=self._given)
        return replace(settings, notes=tuple(self._judge(settings)))

    def _value(self, key: Key) -> object:
        given = self._given[key.name]
        try:
            return key.kind.parse(given.text)
        except ValueError:
            shown = key.kind.show(given.text) or "(empty)"
            self._fail(key, f"{shown}: must be {key.kind.allowed}")
            return key.kind.parse(key.default)

    def _derive(self, values: dict[str, Any]) -> dict[str, Any]:
        for side in ("src", "dest"):
            if values[f"{side}_dialect"] == "auto":
                values[f"{side}_dialect"] = dialect_of(values[f"{side}_endpoint"])
        values["job_type"] = JobType(values["job_type"])
        if values["local_profile_mode"]:
            values["job_type"] = JobType.ENV
            values["src_profile"] = values["src_profile"] or "iad"
            values["dest_profile"] = values["dest_profile"] or "zhy"
        if values["connections"] is None and (values["max_thread"] or values["max_parallel_file"]):
            values["connections"] = (values["max_thread"] or _OLD_BUDGET) * (
                values["max_parallel_file"] or _OLD_BUDGET
            )
        return values | self._paths(values)

    def _paths(self, values: dict[str, Any]) -> dict[str, Path | None]:
        return {
            key.field: self._resolve(key, values[key.field])
            for key in KEYS
            if isinstance(key.kind, FilePath)
        }

    def _resolve(self, key: Key, written: PurePath | None) -> Path | None:
        if written is None:
            return None
        text, where = self._given[key.name].text, self._given[key.name].where
        beside = self._path.parent if self._path and not where.startswith(_VARIABLE) else Path()
        path = beside / written
        if key.field in _BESIDE_OR_HERE and not _is_file(path) and _is_file(Path(written)):
            path = Path(written)
        if key.field != "log_folder" and text != key.default and not _is_file(path):
            self._fail(key, f"{written}: there is no such file")
        return path

    def _judge(self, settings: Settings) -> Iterator[str]:
        for finding in findings(settings):
            if self._failed.intersection(finding.keys):
                continue
            key = next(key for key in KEYS if key.name == finding.keys[0])
            if finding.fatal:
                shown = key.kind.show(self._given[key.name].text)
                self._fail(key, f"{shown}: {finding.text}")
            else:
                yield f"{self._where(finding)}: {key.name} {finding.text}"

    def _where(self, finding: Finding) -> str:
        return self._given[finding.keys[0]].where

    def _fail(self, key: Key, text: str) -> None:
        self._failed.add(key.name)
        self._faults.append(f"{self._given[key.name].where}: [{key.section}] {key.name} = {text}")


def _is_file(path: Path) -> bool:
    """False too where no file could have such a name."""
    try:
        return path.is_file()
    except OSError:
        return False
