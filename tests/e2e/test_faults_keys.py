"""Hostile keys through a real worker, the jobsender and check; the short form of `make faults`."""

from __future__ import annotations

from faults.inputs.hostile_keys import MOST_BYTES, few, hostile_keys
from faults.inputs.keys import send_keys
from faults.stage import Stage
from faults.tally import Effort, Tally

from sync.adapters.dialects import gcs_key_fault


def test_hostile_keys_arrive_byte_for_byte_or_are_dead_lettered_with_their_reason(
    stage: Stage,
) -> None:
    tally = Tally()
    send_keys(tally, Effort.SHORT, stage)
    tally.verify()
    events, listing, check = tally.rows
    assert events.tried == listing.tried == check.tried >= 140
    assert tally.bad_inputs == 3 * events.tried
    assert " 0 dead-lettered" not in events.note
    assert int(events.note.split(", ")[1].split()[0]) >= 130


def test_the_list_has_every_kind_in_both_its_lengths() -> None:
    whole = hostile_keys()
    assert len(whole) >= 220
    assert len(set(whole)) == len(whole)
    lengths = {len(key.encode()) for key in whole}
    assert {MOST_BYTES, MOST_BYTES + 1} <= lengths
    text = "".join(whole)
    for kind in "\0\r\n\u202e\u200d\u0308\U0001f600'\"<&;%+\\ ":
        assert kind in text, ascii(kind)
    some = few(whole, 150)
    assert len(set(some)) == 150
    assert len([key for key in some if gcs_key_fault(key)]) >= 5
