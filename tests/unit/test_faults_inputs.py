"""The short form of the fuzzer, and every input that once got past it."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import pytest
from faults.inputs import targets
from faults.inputs.campaign import Task, run_one
from faults.inputs.fuzzing import fuzz, has_atheris
from faults.inputs.mutation import mutated
from faults.inputs.target import Disagreement
from faults.tally import Effort, Tally

_DEEP = b"[" * 5000
_DEEP_OBJECTS = b'{"a":' * 5000
_SQS = b"\n" + json.dumps({"Successful": [{"Id": "7"}, {"Id": "-1"}, {}]}).encode()
_STATE = b'{"file": "data", "rows": Infinity, "done": false, "md5": "", "tally": {"skipped": {}}}'


def _facts(**values: str) -> bytes:
    return b"\n" + json.dumps({"Attributes": values, "QueueUrl": "u"}).encode()


def _row(**values: object) -> bytes:
    row = {"Key": {"S": "bucket/key"}, "jobStatus": {"SS": ["DONE"]}, **values}
    return b"\n" + json.dumps({"Item": row, "Responses": {"table": [row]}}).encode()


def _checkpoint(**held: object) -> bytes:
    pair = json.dumps(["source", "", "target", ""])
    value = {"left": [], "objects": 0, "extraneous": [], **held}
    document = {"format": 1, "rules": {"versions": False}, "pairs": {pair: value}, "seen": {}}
    return json.dumps(document).encode()


def _manifest(**changed: object) -> bytes:
    whole = {
        "sourceBucket": "s", "destinationBucket": "arn:aws:s3:::d", "fileFormat": "CSV",
        "fileSchema": "Bucket, Key", "files": [], **changed,
    }  # fmt: skip
    return json.dumps(whole).encode()


# Each got past its reader as another exception than its contract names, before it was mended.
_CHECKPOINT = (
    b'{"format": 1, "rules": {"versions": false}, "pairs": {"[\\"source\\", \\"\\", '
    b'\\"target\\", \\"\\"]": {"left": -0.0, "objects": 5, "extraneous": []}}, "seen": {}}'
)

ONCE = (
    ("bucket-list", _DEEP),
    ("manifest", _DEEP),
    ("manifest", _DEEP_OBJECTS),
    ("manifest", _manifest(creationTimestamp="9" * 400)),
    ("manifest", _manifest(creationTimestamp="9" * 5000)),
    ("manifest", _manifest(files=[{"key": "a\ud800", "size": 1}])),
    ("manifest", _manifest(files=[{"key": "a\0b", "size": 1}])),
    ("manifest", _manifest(files=[{"key": "a", "size": "9" * 5000}])),
    ("credentials", _DEEP),
    ("checkpoint", _DEEP),
    ("checkpoint", _checkpoint(left=5)),
    ("checkpoint", _checkpoint(left=[[1, 2, 3]])),
    ("checkpoint", _checkpoint(left=[["a", 5]])),
    ("checkpoint", _checkpoint(objects="x")),
    ("checkpoint", json.dumps({"format": 1, "rules": 5, "pairs": {"x": 1}, "seen": {}}).encode()),
    ("inventory-state", b'{"inventory": "x"}\n' + _DEEP + b"\n"),
    ("inventory-state", b'{"inventory": "x"}\n' + _STATE + b"\n"),
    ("notifications", b"p" + _DEEP),
    ("notifications", b'p{"Statement": [5]}'),
    ("notifications", b'p{"Statement": {"Condition": {"ArnEquals": 5}}}'),
    ("notifications", b"x<a><b></a>"),
    ("notifications", b'x<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
    ("notifications", b'x<?xml version="1.0" encoding="nobody-knows"?><a/>'),
    ("notifications", b"m" + _DEEP),
    ("sqs-replies", b"\n" + _DEEP),
    ("sqs-replies", _SQS),
    ("sqs-replies", b'\n{"Messages": 5}'),
    ("sqs-replies", b'\n{"Messages": [5, {"MessageId": "m", "Attributes": 3}]}'),
    ("sqs-replies", _facts(VisibilityTimeout="x")),
    ("sqs-replies", _facts(RedrivePolicy="{")),
    ("sqs-replies", _facts(RedrivePolicy="[" * 5000)),
    ("sqs-replies", _facts(ApproximateNumberOfMessages="1e308")),
    ("dynamodb-replies", b"400 \n" + _DEEP),
    ("dynamodb-replies", b'\n{"Responses": {"table": [5]}}'),
    ("dynamodb-replies", b'\n{"Table": {"KeySchema": [5]}}'),
    ("dynamodb-replies", _row(Size=5)),
    ("dynamodb-replies", _row(Size={"N": "1E+99999999"}, etag={"S": "x"})),
    ("dynamodb-replies", _row(jobStatus={"SS": [["x"]]})),
    ("dynamodb-replies", _row(partCRC32C=5, uploadId={"S": "u"})),
    ("config-import", b"yaml\na: 2026-13-45\n"),
    ("config-import", b"yaml\na: &a\n  b: *a\n"),
    ("config-import", b"yaml\n" + b"[" * 5000),
    ("config-import", b"ini\n[a]\nb\n c\n"),
    ("store-replies", b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    ("config-file", b"[Basic]\nIgnoreList = s" + b"1" * 400 + b"\n"),
    ("inventory-csv", b"\x1ebucket,k," + b"9" * 5000 + b",x,x,x\n"),
    ("checkpoint", _CHECKPOINT),
)  # fmt: skip


@pytest.mark.parametrize(("name", "data"), ONCE)
def test_what_once_got_past_a_reader_is_refused_as_its_contract_says(
    name: str, data: bytes
) -> None:
    target = targets.load(name)
    with contextlib.suppress(*target.allowed):
        target.probe(data)


@pytest.mark.parametrize("name", list(targets.TABLE))
def test_seeds_are_taken_or_refused_and_reach_the_reader(name: str) -> None:
    target = targets.load(name)
    refused = 0
    for seed in target.seeds:
        try:
            target.probe(seed)
        except target.allowed:
            refused += 1
    assert len(target.seeds) > refused


def test_the_short_campaign_finds_nothing() -> None:
    tally = Tally()
    fuzz(tally, Effort.SHORT)
    tally.verify()
    assert tally.bad_inputs >= 19_000 if has_atheris() else 16_000
    assert [row.what for row in tally.rows] == [f"fuzzed: {name}" for name in targets.TABLE]
    assert all(row.tried >= 50 for row in tally.rows)
    if has_atheris():
        assert "coverage-guided" in tally.rows[0].note


_BROKEN = '''
"""A module of targets, each of which breaks in its own way."""
import os, time
from faults.inputs.target import Target

def crash(data): raise KeyError("x") if b"7" in data else ValueError
def die(data): os._exit(9) if b"7" in data else None
def slow(data):
    end = time.process_time() + 0.3
    while b"7" in data and time.process_time() < end: pass
held = []
def grow(data): held.append(b"x" * 2_000_000)

TARGETS = {
    name: Target(name=name, probe=probe, allowed=(ValueError,), seeds=(b"12345678",), patience=0.2,
                 memory=64)
    for name, probe in {"messages": crash, "url-keys": die, "ignore-list": slow,
                        "bucket-list": grow}.items()
}
'''


@pytest.mark.parametrize(
    ("name", "runs", "kind"),
    [
        ("messages", 50, "crash: KeyError"),
        ("url-keys", 50, "the process ended with 9"),
        ("ignore-list", 4, "hang: 0."),
        ("bucket-list", 300, "memory: from "),
    ],
)
def test_a_reader_that_breaks_is_found_and_can_be_run_again(
    name: str, runs: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        f"source = {_BROKEN!r}\n"
        "import importlib.abc, importlib.machinery\n"
        "class Broken(importlib.abc.MetaPathFinder, importlib.abc.Loader):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name in ('faults.inputs.of_messages', 'faults.inputs.of_config'):\n"
        "            return importlib.machinery.ModuleSpec(name, self)\n"
        "    def exec_module(self, module): exec(source, module.__dict__)\n"
        "sys.meta_path.insert(0, Broken())\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:bench:tests")
    found = run_one(Task(runs={name: runs}, seed=3))
    assert any(kind in text for _, text in found.faults), found
    (text,) = [text for _, text in found.faults if kind in text][:1]
    assert f"faults.inputs.child {name} --once " in text
    assert base64.b64decode(text.rpartition(" ")[2])


def test_equal_seeds_make_equal_inputs() -> None:
    import random

    target = targets.load("messages")

    def some(seed: int) -> list[bytes]:
        chance = random.Random(seed)
        return [mutated(chance, target.seeds, target.words) for _ in range(200)]

    assert some(1) == some(1)
    assert some(1) != some(2)
    assert len(set(some(1))) > 150


def test_readers_that_disagree_are_told_of() -> None:
    from faults.inputs.target import agree

    with pytest.raises(Disagreement, match="about: 1 is not 2"):
        agree(1, 2, "about")
