"""`3gsync explain`, as its users start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sync.config import load
from sync.errors import ConfigError
from sync.explaining import explain_body

ALL_KINDS = [
    ("ObjectCreated:Put", "new+file+%C3%BC.txt"),
    ("ObjectRemoved:Delete", "old"),
    ("ObjectCreated:Put", "some.tmp"),
    ("ObjectTagging:Put", "tagged"),
    ("ObjectCreated:Put", "line%0Afeed"),
]


def event(*pairs: tuple[str, str]) -> str:
    def record(name: str, key: str) -> dict[str, Any]:
        thing = {"key": key, "size": 7, "versionId": "v1"}
        return {"eventName": name, "s3": {"bucket": {"name": "src"}, "object": thing}}

    return json.dumps({"Records": [record(*pair) for pair in pairs]})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "ignored.txt").write_text("*.tmp\n")
    path = tmp_path / "my.ini"
    path.write_text(
        "[Basic]\nDes_bucket_default = dest\nDes_prefix_default = in\nIgnoreList = ignored.txt\n"
        "[Mode]\nSyncDeletes = True\n"
    )
    return path


def run_explain(
    config: Path, *arguments: str, body: str | bytes = "", **variables: str
) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, the lines as JSON, standard error."""
    data = body if isinstance(body, bytes) else body.encode()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("THREEGSYNC_")}
    command = [sys.executable, "-m", "sync.cli", "explain", "--config", str(config), *arguments]
    done = subprocess.run(
        command, input=data, capture_output=True, timeout=60, check=False, env=clean | variables
    )
    out = done.stdout.decode().splitlines()
    return done.returncode, [json.loads(line) for line in out], done.stderr.decode()


def test_every_action_has_its_line_in_the_promised_shape(config: Path) -> None:
    code, lines, errors = run_explain(config, body=event(*ALL_KINDS))
    assert [line["action"] for line in lines] == ["copy", "delete", "ignore", "skip", "reject"]
    assert (code, errors) == (1, "")
    assert lines[0] == {
        "action": "copy",
        "source": {"bucket": "src", "key": "new file ü.txt", "version_id": "v1"},
        "destination": {"bucket": "dest", "key": "in/new file ü.txt"},
        "size": 7,
        "reason": "ObjectCreated:Put",
    }
    assert "'*.tmp'" in lines[2]["reason"]
    assert "line feed" in lines[4]["reason"]


@pytest.mark.parametrize("name", ["body.json", "-"])
def test_a_body_comes_from_a_file_or_from_standard_input(config: Path, name: str) -> None:
    body = event(("ObjectCreated:Put", "a"))
    (config.parent / "body.json").write_text("\ufeff" + body)
    where = name if name == "-" else str(config.parent / name)
    code, lines, _ = run_explain(config, where, body=body)
    assert (code, [line["action"] for line in lines]) == (0, ["copy"])


def test_a_delete_is_skipped_while_deletes_are_off(config: Path) -> None:
    body = event(("ObjectRemoved:Delete", "old"))
    code, lines, _ = run_explain(config, body=body, THREEGSYNC_SYNCDELETES="False")
    assert (code, lines[0]["action"]) == (0, "skip")
    assert "SyncDeletes" in lines[0]["reason"]


@pytest.mark.parametrize("body", ["", "not JSON", b"\xff\xfe\x00", "[]", '{"Event": "other"}'])
def test_a_body_nobody_can_read_is_one_rejection(config: Path, body: str | bytes) -> None:
    code, lines, errors = run_explain(config, body=body)
    assert (code, [line["action"] for line in lines], errors) == (1, ["reject"], "")
    assert lines[0]["source"] == {"bucket": None, "key": None, "version_id": None}
    assert lines[0]["reason"]


def test_a_key_without_a_utf8_form_is_still_shown(config: Path) -> None:
    body = '{"Src_bucket":"s","Src_key":"\\ud800","Des_bucket":"d","Des_key":"\\ud800","Size":0}'
    code, lines, errors = run_explain(config, body=body)
    assert (code, lines[0]["action"], errors) == (1, "reject", "")


def test_a_terminal_that_cannot_show_a_key_gets_it_escaped(config: Path) -> None:
    body = event(("ObjectCreated:Put", "%F0%9F%90%B3"))
    code, lines, _ = run_explain(config, body=body, PYTHONIOENCODING="latin-1")
    assert (code, lines[0]["source"]["key"]) == (0, "🐳")


def test_a_file_that_is_not_there_is_wrong_use(config: Path) -> None:
    code, lines, errors = run_explain(config, str(config.parent / "none.json"))
    assert (code, lines) == (2, [])
    assert "none.json" in errors
    assert "stdin" in errors


def test_a_missing_ignore_list_is_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "c.ini"
    config.write_text("[Basic]\nDes_bucket_default = dest\n")
    settings = load(config, {})
    assert settings.ignore_list is not None
    assert not settings.ignore_list.exists()
    (line,) = explain_body(event(("ObjectCreated:Put", "some.tmp")), settings)
    assert line["action"] == "copy"


def test_an_ignore_list_that_cannot_be_read_ignores_nothing_silently(config: Path) -> None:
    (config.parent / "ignored.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="ignore list"):
        explain_body(event(("ObjectCreated:Put", "a")), load(config, {}))


def test_the_destination_dialect_decides_which_keys_can_be_held(config: Path) -> None:
    elsewhere = {"THREEGSYNC_DESTENDPOINTURL": "https://store.example.net"}
    (line,) = explain_body(event(("ObjectCreated:Put", "line%0Afeed")), load(config, elsewhere))
    assert line["action"] == "copy"
