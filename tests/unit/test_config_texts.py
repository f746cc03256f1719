"""What is made from the table of keys: listings, config.ini, the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.config import KEYS, Given, key_table, load, sample, show
from sync.config.inifile import clean_value, parse
from sync.config.texts import quoted

TOP = Path(__file__).resolve().parents[2]


def test_config_ini_is_current() -> None:
    """Mend with: python -m sync.config ini > config.ini"""
    assert (TOP / "config.ini").read_text("utf-8") == sample()


def test_the_documentation_is_current() -> None:
    """Mend by pasting what python -m sync.config table prints between the two marks."""
    text = (TOP / "docs" / "configuration.md").read_text("utf-8")
    between = text.partition("<!-- keys: begin -->\n")[2].partition("<!-- keys: end -->")[0]
    assert between.strip() == key_table().strip()


def test_config_ini_holds_the_defaults() -> None:
    settings = load(TOP / "config.ini", {})
    assert {name: g.text for name, g in settings.given.items()} == {
        key.name: key.default for key in KEYS
    }
    assert settings.notes == ()
    assert settings.connections is None


def test_show_tells_origins_and_can_be_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "config.ini"
    path.write_text('[Basic]\nDes_prefix_default = " a # b"\n[Mode]\nMaxRetry = 7\n')
    settings = load(path, {"THREEGSYNC_CHUNKSIZE": "8"})
    text = show(settings)
    assert f"MaxRetry = 7  # {path}:4" in text
    assert "ChunkSize = 8  # environment variable THREEGSYNC_CHUNKSIZE" in text
    assert "JobTimeout = 3500  # default" in text
    assert "DestDialect = auto  # default, means gcs" in text
    again = tmp_path / "again.ini"
    again.write_text(text)
    loaded = load(again, {})
    for key in KEYS:
        assert getattr(loaded, key.field) == getattr(settings, key.field), key.name


def test_show_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None, {"THREEGSYNC_DESTENDPOINTURL": "https://host"})
    held = dict(settings.given)
    held["DestEndPointURL"] = Given("https://user:CANARY@host", "test")
    object.__setattr__(settings, "given", held)
    assert "CANARY" not in show(settings)
    assert "https://***@host" in show(settings)


text_without_line_ends = st.text(
    st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=40
)


@given(text_without_line_ends)
def test_a_quoted_value_is_read_back(text: str) -> None:
    if '"' in text and "'" in text:
        return  # an ini file has no way to write it if it also needs quotes
    assert clean_value(quoted(text)) == text


@given(st.binary(max_size=200))
def test_any_bytes_give_values_or_faults_never_a_crash(data: bytes) -> None:
    parsed = parse(data, "x")
    assert set(parsed.given) <= {key.name for key in KEYS}


@given(st.lists(st.sampled_from([*"[]=:#;\"' \t", "[Mode]", "ChunkSize", "a", "\n"])))
def test_any_lines_give_values_or_faults_never_a_crash(pieces: list[str]) -> None:
    parse("".join(pieces).encode(), "x")
