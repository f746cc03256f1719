"""Wrong keys, rotated keys, objects that can never be copied, and secrets in what is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.rig import Rig, leaked
from support.servers import S3Server
from sync.standins.gcs import HmacIdentity
from sync.standins.secretmanager import SecretManager

RigMaker = Callable[..., Rig]
SECRET = "projects/p/secrets/s3_migration_credentials"
WRONG = "wrong+secret/of-nobody-0123456789"


def fill(rig: Rig, prefix: str, count: int = 5) -> None:
    for number in range(count):
        rig.put(f"{prefix}/{number}", f"{prefix} {number}".encode())


def test_wrong_destination_keys_keep_every_message_and_are_named(make_rig: RigMaker) -> None:
    rig = make_rig(CircuitBreaker=3)
    fill(rig, "key")
    rig.secrets.add(WRONG)
    rig.environ["DEST_AWS_SECRET_ACCESS_KEY"] = WRONG
    worker = rig.until_empty(code=1)
    assert rig.queue.depth() == 5
    assert rig.queue.dead() == []
    assert rig.target.keys() == set()
    reasons = worker.summary["failing"]
    assert len(reasons) >= 3
    assert all("SignatureDoesNotMatch" in reason for reason in reasons)
    assert worker.seen("breaker-open")
    assert {line["reason"] for line in worker.seen("failure")} == set(reasons)
    rig.environ["DEST_AWS_SECRET_ACCESS_KEY"] = rig.target.server.secret_key
    rig.after_death()
    rig.equal()


# --- keys from the secret ---------------------------------------------------------------


@pytest.fixture
def secrets() -> Iterator[SecretManager]:
    with SecretManager() as running:
        yield running


def document(rig: Rig, access_id: str, secret: str) -> bytes:
    source: S3Server = rig.source.server
    pairs = {"source": (source.access_key, source.secret_key), "destination": (access_id, secret)}
    rig.secrets.add(secret)
    sides = {
        side: {"aws_access_key_id": key, "aws_secret_access_key": value, "region": "us-east-1"}
        for side, (key, value) in pairs.items()
    }
    return json.dumps(sides).encode()


def reading_secrets(rig: Rig, secrets: SecretManager) -> None:
    rig.options |= {
        "JobType": "GET",
        "ssm_parameter_credentials": f"{SECRET}/versions/latest",
        "CircuitBreaker": 3,
        "CircuitPause": 1,
    }
    for name in [name for name in rig.environ if name.startswith(("SRC_", "DEST_"))]:
        del rig.environ[name]
    rig.environ["SECRETMANAGER_EMULATOR_HOST"] = secrets.address


def test_a_corrected_secret_closes_the_breaker_without_a_restart(
    rig: Rig, secrets: SecretManager
) -> None:
    reading_secrets(rig, secrets)
    good = rig.target.server
    secrets.add_version(SECRET, document(rig, good.access_key, WRONG))
    fill(rig, "key")
    worker = rig.start()
    opened = worker.wait_for("breaker-open")
    assert "SignatureDoesNotMatch" in opened["reason"]
    assert rig.target.keys() == set()
    secrets.add_version(SECRET, document(rig, good.access_key, good.secret_key))
    worker.wait_for("breaker-closed")
    rig.wait_empty(within=60)
    worker.terminate()
    assert worker.ended() == 0
    rig.equal()
    assert rig.queue.dead() == []


def test_a_key_revoked_and_replaced_is_taken_up_without_a_restart(
    rig: Rig, secrets: SecretManager, gcs_spare: HmacIdentity
) -> None:
    reading_secrets(rig, secrets)
    old = rig.target.server
    secrets.add_version(SECRET, document(rig, old.access_key, old.secret_key))
    fill(rig, "before", 2)
    worker = rig.start()
    rig.wait_empty()
    secrets.add_version(SECRET, document(rig, gcs_spare.access_id, gcs_spare.secret))
    rig.target.proxy.refuse(f"by {old.access_key}", 403, "InvalidAccessKeyId")
    fill(rig, "after", 2)
    rig.wait_empty(within=60)
    worker.terminate()
    assert worker.ended() == 0
    rig.equal()
    assert rig.target.proxy.count(f"by {gcs_spare.access_id} -> 200") >= 2


# --- objects that can never be copied -----------------------------------------------------


def test_one_forbidden_object_is_dead_lettered_after_max_receives_and_the_rest_copied(
    make_rig: RigMaker,
) -> None:
    rig = make_rig(MaxReceives=2)
    fill(rig, "allowed")
    rig.put("forbidden", b"x")
    refusal = rig.target.proxy.refuse(r"^PUT /.*/forbidden", 403, "AccessDenied")
    worker = rig.until_empty(code=1)
    rig.equal(without=("forbidden",))
    (letter,) = rig.queue.dead()
    assert json.loads(letter["body"])["Records"][0]["s3"]["object"]["key"] == "forbidden"
    assert (letter["code"], letter["receive_count"]) == ("AccessDenied", "2")
    assert "AccessDenied" in letter["reason"]
    assert refusal.fired == 2
    assert worker.summary["outcomes"] == {"copied": 5, "dead-lettered": 1}
    assert worker.summary["failing"] == []


def test_without_a_dead_letter_queue_nothing_is_deleted(make_rig: RigMaker) -> None:
    rig = make_rig(dead_letter=False, MaxReceives=2)
    rig.put("good", b"good")
    rig.put("forbidden", b"x")
    rig.queue.send("nobody can read this")
    rig.target.proxy.refuse(r"^PUT /.*/forbidden", 403, "AccessDenied")
    worker = rig.until_empty(code=1)
    assert rig.queue.depth() == 2
    assert rig.target.keys() == {"good"}
    assert worker.seen("no-dead-letter-queue")
    assert len(worker.summary["failing"]) == 2


# --- secrets --------------------------------------------------------------------------------


def test_the_sweep_at_the_end_of_every_test_finds_a_secret(tmp_path: Path) -> None:
    """`Rig.close` looks through all that workers wrote; this proves that it would see one."""
    clean, plain, encoded = (tmp_path / name for name in ("clean.err", "plain.err", "encoded.out"))
    clean.write_text("nothing here\n")
    plain.write_text(f"Authorization: {WRONG}\n")
    encoded.write_text("…?secret=wrong%2Bsecret%2Fof-nobody-0123456789")
    assert leaked([WRONG], [clean, plain, encoded]) == ["plain.err", "encoded.out"]


def test_no_secret_is_said_at_the_most_talkative_level(make_rig: RigMaker) -> None:
    rig = make_rig(LoggingLevel="DEBUG", LogFolder="logs")
    wrong = replace(rig.target.server, secret_key=WRONG)
    rig.secrets.add(WRONG)
    rig.environ["DEST_AWS_SECRET_ACCESS_KEY"] = wrong.secret_key
    rig.options["CircuitBreaker"] = 1
    fill(rig, "key", 1)
    rig.until_empty(code=1)
    names = {path.suffix for path in rig.outputs() if path.stat().st_size}
    assert names == {".out", ".err", ".log"}
