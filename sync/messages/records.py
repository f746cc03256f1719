"""The values a message body turns into, and where an event's object goes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sync.errors import MessageError
from sync.model import ObjectRef, TransferJob


class NoteKind(StrEnum):
    """Why a record asks for nothing."""

    TEST_EVENT = "test-event"
    NO_DATA = "no-data"


@dataclass(frozen=True, slots=True)
class Note:
    """A record that asks for nothing: acknowledged and counted. ``reason`` is for people.

    ``source`` is the object it speaks of, where it speaks of one.
    """

    kind: NoteKind
    reason: str
    source: ObjectRef | None = None


Record = TransferJob | Note


class Decoded(NamedTuple):
    """What one message body asks for, each tuple in the order of the body."""

    jobs: tuple[TransferJob, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """Where objects go whose message names no destination: ``Des_bucket_default`` and
    ``Des_prefix_default``.
    """

    default_bucket: str
    default_prefix: str = ""

    def destination(self, key: str) -> ObjectRef:
        """The destination of a source key; MessageError where no bucket is configured."""
        if not self.default_bucket:
            raise MessageError(
                "the message names no destination; set Des_bucket_default in the configuration"
            )
        return ObjectRef(self.default_bucket, destination_key(self.default_prefix, key))


def destination_key(prefix: str, key: str) -> str:
    """The prefix, one ``/`` if the prefix is not empty and has none at its end, and the key.

    The key passes as it is: ``a//b`` and ``/a`` keep their slashes.
    """
    joint = "" if not prefix or prefix.endswith("/") else "/"
    return f"{prefix}{joint}{key}"
