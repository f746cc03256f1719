"""``3gsync queue redrive`` killed at its worst moments: twice is fine, lost is not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gate import Proxy, Stage
from support.moto_aws import REGION, MotoAws, moto_aws
from support.queue_tools import SqsLook, jobs
from support.servers import hear_interrupts
from support.worker_process import base_environment, eventually

BODIES = jobs([f"{number:02}" for number in range(20)])


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


def start(proxy: Proxy, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    keys = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": REGION}
    environ = base_environment(folder) | {f"SRC_{name}": value for name, value in keys.items()}
    config = folder / "config.ini"
    config.write_text("[Basic]\nJobType = ENV\nIgnoreList =\n")
    return subprocess.Popen(
        [sys.executable, "-m", "sync.cli", "queue", "redrive", "--config", str(config), *arguments],
        env=environ | {"AWS_ENDPOINT_URL_SQS": proxy.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=hear_interrupts,  # noqa: PLW1509  one system call, from the main thread
    )


def leases_run_out(look: SqsLook, proxy: Proxy, name: str) -> None:
    """As if a quarter of an hour had passed."""
    for reply in proxy.kept:
        for message in json.loads(reply).get("Messages", ()):
            look.sqs.change_message_visibility(
                QueueUrl=look.url(name),
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=0,
            )


@pytest.mark.parametrize(
    ("operation", "stage", "copies"),
    [
        ("SendMessageBatch", Stage.ARRIVED, 0),
        ("SendMessageBatch", Stage.ANSWERED, 10),
        ("DeleteMessageBatch", Stage.ARRIVED, 10),
    ],
)
def test_killed_it_leaves_every_message_somewhere(
    aws: MotoAws, tmp_path: Path, operation: str, stage: Stage, copies: int
) -> None:
    look = SqsLook(aws)
    name, dead = look.pair()
    look.send(dead, *BODIES)
    proxy = Proxy(aws.endpoint, keep=r"AmazonSQS\.ReceiveMessage")
    gate = proxy.gate(rf"AmazonSQS\.{operation}", stage)
    process = start(proxy, tmp_path, "--queue", name, "--limit", "10")
    gate.wait()
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    assert process.stderr is not None
    process.stderr.close()
    gate.cut()
    leases_run_out(look, proxy, dead)
    assert look.visible(dead) == 20
    assert look.visible(name) == copies
    again = start(proxy, tmp_path, "--queue", name)
    assert again.wait(60) == 0
    assert again.stderr is not None
    again.stderr.close()
    assert sorted(set(look.bodies(name))) == sorted(BODIES)
    assert (look.visible(dead), look.in_flight(dead)) == (0, 0)
    assert proxy.close() == []


def test_interrupted_it_gives_back_what_it_holds(aws: MotoAws, tmp_path: Path) -> None:
    look = SqsLook(aws)
    name, dead = look.pair()
    look.send(dead, *BODIES)
    proxy = Proxy(aws.endpoint)
    process = start(proxy, tmp_path, "--queue", name, "--key", "src/0*", "--rate", "1")
    eventually("some are moved", lambda: look.visible(name) >= 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 1
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    moved = look.visible(name)
    assert look.in_flight(dead) == 0
    assert moved + look.visible(dead) == 20
    proxy.close()
