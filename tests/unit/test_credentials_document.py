"""The JSON that keys are stored in."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.credentials.document import one_side, two_sides
from sync.errors import ConfigError

PAIR = {"aws_access_key_id": "AK", "aws_secret_access_key": "CANARY", "region": "eu-west-1"}


def faults(data: bytes, *, flat: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        (one_side if flat else two_sides)(data, "secret s")
    error: BaseException | None = caught.value
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    while error is not None:
        shown += repr(vars(error))
        error = error.__context__
    assert "CANARY" not in shown
    return str(caught.value)


def test_both_sides_are_read() -> None:
    other = {"aws_access_key_id": " GOOG\n", "aws_secret_access_key": "S", "aws_session_token": "T"}
    keys = two_sides(json.dumps({"source": PAIR, "destination": other}).encode(), "s")
    source, destination = keys["source"], keys["destination"]
    assert (source.access_key, source.secret_key, source.region) == ("AK", "CANARY", "eu-west-1")
    assert (destination.access_key, destination.token, destination.region) == ("GOOG", "T", "")


def test_a_flat_pair_is_read_with_bom() -> None:
    assert one_side(b"\xef\xbb\xbf" + json.dumps(PAIR).encode(), "s")[""].secret_key == "CANARY"


@pytest.mark.parametrize("data", [b"CANARY", b"{CANARY", b'["CANARY"]', b'"CANARY"', b"\xffCANARY"])
def test_anything_but_an_object_is_refused_without_showing_it(data: bytes) -> None:
    assert faults(data) == "secret s: must hold a JSON object in UTF-8; it does not"


def test_a_missing_side_is_named() -> None:
    text = faults(json.dumps({"source": PAIR, "Destination": PAIR}).encode())
    assert "field destination must hold an object" in text
    assert "source" not in text


@pytest.mark.parametrize("name", ["aws_access_key_id", "aws_secret_access_key"])
@pytest.mark.parametrize("value", ["", None, 5, ["CANARY"], "two CANARY words", "CANARY\u00e9"])
def test_a_field_that_is_missing_or_wrong_is_named(name: str, value: object) -> None:
    text = faults(json.dumps(PAIR | {name: value}).encode(), flat=True)
    assert text.startswith(f"secret s: field {name} is ")


def test_all_faults_are_named_at_once() -> None:
    text = faults(json.dumps({"source": {}, "destination": PAIR | {"region": 1}}).encode())
    assert [line.split("field ")[1].split()[0] for line in text.splitlines()] == [
        "source.aws_access_key_id",
        "source.aws_secret_access_key",
        "destination.region",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
fields = st.sampled_from(["source", "destination", *PAIR])


@given(st.dictionaries(fields, json_values | st.dictionaries(fields, json_values)))
def test_any_document_gives_keys_or_named_faults(document: dict[str, object]) -> None:
    for read in (one_side, two_sides):
        with suppress(ConfigError):
            keys = read(json.dumps(document).encode(), "s")
            assert all(pair.access_key and pair.secret_key for pair in keys.values())
