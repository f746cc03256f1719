from __future__ import annotations

import io
from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from sync.arguments import duration, rate, whole
from sync.commands.tables import age, moment, shown, table
from sync.telemetry.amounts import size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7d", 604800), ("12h", 43200), ("30m", 1800), ("0s", 0), ("1d12h", 129600), ("1.5h", 5400)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((duration, text) for text in ("", "7", "d", "7 d", "-7d", "7D", "7y", "7dx", "1e3s")),
        *((rate, text) for text in ("", "0", "-1", "0/s", "5/m", "nan", "1e3")),
        *((whole, text) for text in ("", "0", "-1", "1.5", "x", "\u0661")),
    ],
)
def test_what_is_not_one(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        read(text)


def test_rates() -> None:
    assert (rate("5"), rate("5/s"), rate("0.5/s")) == (5.0, 5.0, 0.5)


def test_sizes_and_ages() -> None:
    assert [size(n) for n in (0, 1023, 1024, 5 << 30, 3 << 60)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 GiB",
        "3072.0 PiB",
    ]
    assert [age(n) for n in (-5, 59, 60, 5400, 8.5 * 86400)] == [
        "0 s",
        "59 s",
        "1.0 min",
        "1.5 h",
        "8.5 d",
    ]
    assert (moment(0), moment(86400)) == ("-", "1970-01-02T00:00:00Z")
    assert (moment(1e30), moment(float("inf"))) == ("-", "-")


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    lines = list(table(("A", "COUNT"), [("long name", 5), ("b", 1000)]))
    assert lines == ["A          COUNT", "long name      5", "b           1000"]


def test_no_key_breaks_out_of_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown("a\x1b[31m\n\u202e\ud800é") == "a\\x1b[31m\\n\\u202e\\ud800é"
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert shown("é") == "\\xe9"
