"""Where a comparison stands, in a file, so that it can be gone on with after a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sync.engine.comparing.keyspace import KeyRange
from sync.errors import ConfigError, SyncError
from sync.json_text import loads
from sync.model import BucketPair

_FORMAT: Final = 1


class CheckpointNotWritten(SyncError):
    """The file could not be written; the one before stands."""


class Progress(NamedTuple):
    """How far a pair has got. ``left`` is None where it was not begun, [] where all of it is
    compared; ``objects`` counts the source's; ``extraneous`` are those to be deleted at the end.
    """

    left: list[KeyRange] | None = None
    objects: int = 0
    extraneous: tuple[str, ...] = ()


class Checkpoint:
    """One file for all pairs of a run. ``rules`` are what decides what is found: a file written
    under other rules is refused, since parts of the buckets were compared under those.
    """

    def __init__(self, path: Path, rules: Mapping[str, Any]) -> None:
        self._path = path
        self._rules = loads(json.dumps(rules))
        self._pairs: dict[str, Any] = {}
        self._seen: dict[str, int] = {}
        self._load()

    @property
    def resumed(self) -> bool:
        """True where there is something left of an earlier run."""
        return bool(self._pairs)

    def progress(self, pair: BucketPair) -> Progress:
        """How far the pair has got."""
        held = self._pairs.get(_name(pair))
        if held is None:
            return Progress()
        left = [KeyRange(after, until) for after, until in held["left"]]
        return Progress(left, held["objects"], tuple(held["extraneous"]))

    def expected(self, pair: BucketPair) -> int:
        """Source objects of its last finished run, 0 where there was none."""
        return self._seen.get(_name(pair), 0)

    def save(
        self,
        pair: BucketPair,
        left: Sequence[tuple[str, str | None]],
        *,
        objects: int = 0,
        extraneous: Sequence[str] = (),
    ) -> None:
        """Everything but what is left is compared and its jobs are in the queue."""
        ranges = [list(one) for one in left]
        held = {"left": ranges, "objects": objects, "extraneous": list(extraneous)}
        self._pairs[_name(pair)] = held
        if not ranges:
            self._seen[_name(pair)] = objects
        self._write()

    def close(self) -> None:
        """The run is done: the next one begins anew."""
        self._pairs = {}
        self._write()

    def _load(self) -> None:
        try:
            held = loads(self._path.read_text("utf-8"))
            if held["format"] != _FORMAT:
                raise ValueError  # noqa: TRY301  told below
            pairs, rules, seen = dict(held["pairs"]), dict(held["rules"]), dict(held["seen"])
            _require_progress(pairs, seen)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self._path} is no checkpoint of the jobsender: remove it, or name another file"
            ) from None
        if pairs and rules != self._rules:
            names = _differences(rules, self._rules)
            raise ConfigError(
                f"{self._path} was left by a run with another {names}: use the same options to go "
                "on, or remove the file to begin anew"
            )
        self._pairs, self._seen = pairs, seen

    def _write(self) -> None:
        """Whole or not at all."""
        held = {
            "format": _FORMAT,
            "rules": self._rules,
            "pairs": self._pairs,
            "seen": self._seen,
        }
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump(held, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise CheckpointNotWritten(f"{self._path} cannot be written: {error}") from None


def _require_progress(pairs: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
    """KeyError, TypeError or ValueError where it is not what ``save`` writes."""
    counts = [*seen.values(), *(held["objects"] for held in pairs.values())]
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("a number of objects is none")
    for held in pairs.values():
        if not isinstance(held["left"], list):
            raise TypeError("what is left is no list")
        afters, ends = zip(*held["left"], strict=True) if held["left"] else ((), ())
        texts = [*afters, *(end for end in ends if end is not None), *held["extraneous"]]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a key is no text")


def _name(pair: BucketPair) -> str:
    return json.dumps(pair)


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return ", ".join(names)
