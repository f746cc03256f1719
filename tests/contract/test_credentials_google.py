"""GET mode: the real client library against the Secret Manager stand-in, over a socket."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.adapters.credentials import cache, google_secret, providers
from sync.adapters.credentials.google_secret import read_google_secret
from sync.config import Settings, load
from sync.errors import AccessDenied, ConfigError, IntegrityError, TransientStoreError
from sync.standins.secretmanager import SecretManager

SECRET = "projects/p/secrets/keys"
LATEST = f"{SECRET}/versions/latest"


def document(name: str) -> bytes:
    def pair(side: str) -> dict[str, str]:
        return {
            "aws_access_key_id": f"{side}-{name}",
            "aws_secret_access_key": "CANARY",
            "region": f"{side}-region",
        }

    return json.dumps({"source": pair("src"), "destination": pair("dest")}).encode()


@pytest.fixture
def server() -> Iterator[SecretManager]:
    with SecretManager() as running:
        running.add_version(SECRET, document("one"))
        yield running


def environ(server: SecretManager) -> dict[str, str]:
    return {"SECRETMANAGER_EMULATOR_HOST": server.address}


def settings(**values: str) -> Settings:
    given = {"JobType": "GET", "ssm_parameter_credentials": LATEST} | values
    return load(Path(os.devnull), {f"THREEGSYNC_{k.upper()}": v for k, v in given.items()})


def test_one_secret_gives_both_sides_and_the_source_drives_queue_and_table(
    server: SecretManager,
) -> None:
    async def scenario() -> None:
        found = providers(settings(), environ(server))
        names = [
            (await one.credentials()).access_key
            for one in (found.source, found.destination, found.queue, found.table)
        ]
        assert names == ["src-one", "dest-one", "src-one", "src-one"]
        assert (await found.queue.credentials()).region == "src-region"
        assert server.accesses == 1

    asyncio.run(scenario())


def test_a_rotated_key_needs_no_restart(
    server: SecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "REREAD_INTERVAL", 0.0)

    async def scenario() -> None:
        found = providers(settings(), environ(server))
        assert (await found.destination.credentials()).access_key == "dest-one"
        server.add_version(SECRET, document("two"))
        assert (await found.destination.credentials()).access_key == "dest-one"
        found.source.invalidate()
        assert (await found.destination.credentials()).access_key == "dest-two"
        assert (await found.source.credentials()).access_key == "src-two"
        assert server.accesses == 2

    asyncio.run(scenario())


def test_a_numbered_version_stays(server: SecretManager) -> None:
    server.add_version(SECRET, document("two"))
    keys = read_google_secret(f"{SECRET}/versions/1", environ(server))
    assert keys["source"].access_key == "src-one"


def test_a_missing_secret_and_a_missing_version_are_faults(server: SecretManager) -> None:
    for name in ("projects/p/secrets/other/versions/latest", f"{SECRET}/versions/9"):
        with pytest.raises(ConfigError, match="not found; mend ssm_parameter_credentials"):
            read_google_secret(name, environ(server))


def test_a_disabled_version_is_a_fault(server: SecretManager) -> None:
    server.disable(SECRET, 1)
    with pytest.raises(ConfigError, match="disabled or destroyed"):
        read_google_secret(LATEST, environ(server))


def test_a_missing_permission_is_named(server: SecretManager) -> None:
    server.deny(SECRET)
    with pytest.raises(AccessDenied, match=r"secretmanager\.versions\.access"):
        read_google_secret(LATEST, environ(server))


def test_a_passing_outage_is_ridden_out(server: SecretManager) -> None:
    server.fail_next(unavailable=2)
    assert read_google_secret(LATEST, environ(server))["source"].access_key == "src-one"
    assert server.accesses == 3


def test_a_lasting_outage_is_transient(
    server: SecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google_secret, "_TIMEOUT", 0.5)
    server.fail_next(unavailable=1000)
    with pytest.raises(TransientStoreError, match="no answer"):
        read_google_secret(LATEST, environ(server))


def test_nobody_listening_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_secret, "_TIMEOUT", 0.5)
    with SecretManager() as gone:
        address = gone.address
    with pytest.raises(TransientStoreError):
        read_google_secret(LATEST, {"SECRETMANAGER_EMULATOR_HOST": f"http://{address}"})


def test_damage_on_the_way_is_seen(server: SecretManager) -> None:
    server.fail_next(damaged=1)
    with pytest.raises(IntegrityError, match="CRC32C"):
        read_google_secret(LATEST, environ(server))
    assert read_google_secret(LATEST, environ(server))


def test_a_malformed_secret_names_the_field_only(server: SecretManager) -> None:
    server.add_version(SECRET, b'{"source": {"aws_secret_access_key": "CANARY"}}')
    with pytest.raises(ConfigError) as caught:
        read_google_secret(LATEST, environ(server))
    assert "field destination" in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_without_a_service_account_the_mend_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(ConfigError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        read_google_secret(LATEST, {})
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    with pytest.raises(ConfigError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        read_google_secret(LATEST, {})


def test_debug_logs_hold_no_secret(server: SecretManager, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    google = logging.getLogger("google")
    google.setLevel(logging.DEBUG)
    google.addHandler(caplog.handler)
    try:
        read_google_secret(LATEST, environ(server))
    finally:
        google.removeHandler(caplog.handler)
    assert "CANARY" not in "".join(str(vars(record)) for record in caplog.records)


def test_get_without_a_name_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="ssm_parameter_credentials is empty"):
        providers(settings(ssm_parameter_credentials=""), {})


def test_the_stand_in_runs_by_itself_and_takes_new_versions(tmp_path: Path) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

    file = tmp_path / "secret.json"
    file.write_bytes(document("file"))
    command = [sys.executable, "-m", "sync.standins.secretmanager", "--secret", f"{SECRET}={file}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            name, _, address = process.stdout.readline().strip().partition("=")
            assert name == "SECRETMANAGER_EMULATOR_HOST"
            assert read_google_secret(LATEST, {name: address})["source"].access_key == "src-file"
            with SecretManagerServiceClient(
                credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
                transport="rest",
                client_options={"api_endpoint": f"http://{address}"},
            ) as client:
                request = {"parent": SECRET, "payload": {"data": document("new")}}
                added = client.add_secret_version(request=request)
            assert added.name == f"{SECRET}/versions/2"
            assert read_google_secret(LATEST, {name: address})["source"].access_key == "src-new"
        finally:
            process.kill()
