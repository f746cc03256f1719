"""Message bodies to jobs, and jobs to message bodies. The only place that decodes keys.

Pure: no I/O, no SDK, no clock. Every shape that is read, and the two that are written, are
described with examples in ``docs/messages.md``.
"""

from sync.messages.bodies import encode_batch, encode_job, is_batch
from sync.messages.decoding import decode, decode_records
from sync.messages.records import (
    Decoded,
    DestinationRule,
    Note,
    NoteKind,
    destination_key,
)

__all__ = [
    "Decoded",
    "DestinationRule",
    "Note",
    "NoteKind",
    "decode",
    "decode_records",
    "destination_key",
    "encode_batch",
    "encode_job",
    "is_batch",
]
