"""PUT and ENV: boto3's chain, roles by IMDSv2 and SSM, against moto and the metadata stand-in."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from sync.adapters.credentials import aws_endpoint, cache, providers
from sync.adapters.credentials.ssm import read_parameter
from sync.config import Settings, load
from sync.errors import AccessDenied, ConfigError, TransientStoreError
from sync.standins.metadata import Cloud, Metadata

PAIR = {
    "aws_access_key_id": "OTHER",
    "aws_secret_access_key": "CANARY",
    "region": "cn-northwest-1",
}


def settings(**values: str) -> Settings:
    return load(Path(os.devnull), {f"THREEGSYNC_{k.upper()}": v for k, v in values.items()})


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys of whoever runs the tests, and no metadata server but ours."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def ssm(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ROLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "role-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", moto)
    return boto3.client("ssm", region_name="eu-west-1")


def put(ssm: Any, name: str, value: dict[str, str]) -> None:
    ssm.put_parameter(Name=name, Value=json.dumps(value), Type="SecureString", Overwrite=True)


async def names(found: Any) -> list[str]:
    sides = (found.source, found.destination, found.queue, found.table)
    return [(await side.credentials()).access_key for side in sides]


def test_put_takes_the_chain_for_the_source_and_ssm_for_the_destination(ssm: Any) -> None:
    put(ssm, "s3_migration_credentials", PAIR)

    async def scenario() -> None:
        found = providers(settings(JobType="PUT"), os.environ)
        assert await names(found) == ["ROLE", "OTHER", "ROLE", "ROLE"]
        assert (await found.source.credentials()).region == "eu-west-1"
        assert (await found.destination.credentials()).region == "cn-northwest-1"

    asyncio.run(scenario())


def test_the_cluster_s_get_turns_the_sides_round(ssm: Any) -> None:
    put(ssm, "/team/keys", PAIR)

    async def scenario() -> None:
        cluster = settings(
            JobType="GET",
            ssm_parameter_credentials="/team/keys",
            DestEndPointURL="https://s3.amazonaws.com",
        )
        assert await names(providers(cluster, os.environ)) == ["OTHER", "ROLE", "ROLE", "ROLE"]

    asyncio.run(scenario())


def test_a_rotated_parameter_needs_no_restart(ssm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "REREAD_INTERVAL", 0.0)
    put(ssm, "rotating", PAIR)

    async def scenario() -> None:
        mine = settings(JobType="PUT", ssm_parameter_credentials="rotating")
        found = providers(mine, os.environ).destination
        assert (await found.credentials()).access_key == "OTHER"
        put(ssm, "rotating", PAIR | {"aws_access_key_id": "NEW"})
        assert (await found.credentials()).access_key == "OTHER"
        found.invalidate()
        assert (await found.credentials()).access_key == "NEW"

    asyncio.run(scenario())


def test_a_missing_parameter_is_a_fault(ssm: Any) -> None:
    with pytest.raises(ConfigError, match="create it as a SecureString"):
        read_parameter("none-such", profile="", environ=os.environ)


def test_a_malformed_parameter_names_the_field_only(ssm: Any) -> None:
    put(ssm, "half", {"aws_secret_access_key": "CANARY"})
    with pytest.raises(ConfigError) as caught:
        read_parameter("half", profile="", environ=os.environ)
    assert str(caught.value) == "SSM parameter half: field aws_access_key_id is missing or empty"


def test_debug_logs_hold_no_secret(ssm: Any, caplog: pytest.LogCaptureFixture) -> None:
    put(ssm, "logged", PAIR)
    logging.getLogger("botocore").setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    assert read_parameter("logged", profile="", environ=os.environ)[""].secret_key == "CANARY"
    assert "CANARY" not in "".join(str(vars(record)) for record in caplog.records)


@pytest.fixture
def refusing() -> Iterator[Any]:
    """An SSM that answers every request with the error it is told."""
    answer: dict[str, Any] = {"status": 400, "code": "AccessDeniedException"}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"__type": answer["code"], "message": "CANARY"}).encode()
            self.send_response(int(answer["status"]))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", answer
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "told",
    [
        (400, "AccessDeniedException", AccessDenied, "ssm:GetParameter on it, and kms:Decrypt"),
        (400, "UnrecognizedClientException", AccessDenied, "refused"),
        (400, "ThrottlingException", TransientStoreError, "ThrottlingException"),
        (500, "InternalServerError", TransientStoreError, "InternalServerError"),
    ],
)
def test_refusals_are_told_apart(
    refusing: Any,
    monkeypatch: pytest.MonkeyPatch,
    told: tuple[int, str, type[Exception], str],
) -> None:
    status, code, kind, words = told
    url, answer = refusing
    answer |= {"status": status, "code": code}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ROLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "role-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(kind, match=words) as caught:
        read_parameter("x", profile="", environ=os.environ)
    assert type(caught.value) is kind
    assert "CANARY" not in str(caught.value)


def test_profiles_give_both_sides(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        "[one]\naws_access_key_id = A1\naws_secret_access_key = S1\n"
        "[two]\naws_access_key_id = A2\naws_secret_access_key = S2\naws_session_token = T2\n"
    )
    (tmp_path / "config").write_text("[profile one]\nregion = cn-north-1\n")

    async def scenario() -> None:
        mine = settings(JobType="ENV", SrcProfileName="one", DestProfileName="two")
        found = providers(mine, os.environ)
        assert await names(found) == ["A1", "A2", "A1", "A1"]
        assert (await found.source.credentials()).region == "cn-north-1"
        assert (await found.destination.credentials()).token == "T2"

    asyncio.run(scenario())


def test_variables_give_each_side_its_own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "COMMON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "common")
    environ = {
        "DEST_AWS_ACCESS_KEY_ID": "DEST",
        "DEST_AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "eu-west-1",
    }

    async def scenario() -> None:
        found = providers(settings(JobType="ENV"), environ)
        assert await names(found) == ["COMMON", "DEST", "COMMON", "COMMON"]
        assert (await found.destination.credentials()).region == "eu-west-1"

    asyncio.run(scenario())


def test_half_a_pair_in_the_environment_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(environ: dict[str, str]) -> None:
        await providers(settings(JobType="ENV"), environ).source.credentials()

    with pytest.raises(ConfigError, match="SRC_AWS_SECRET_ACCESS_KEY is missing"):
        asyncio.run(read({"SRC_AWS_ACCESS_KEY_ID": "A"}))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    with pytest.raises(ConfigError, match="only one half"):
        asyncio.run(read({}))


def test_an_unknown_profile_and_no_keys_at_all_are_faults() -> None:
    async def read(**values: str) -> None:
        await providers(settings(JobType="ENV", **values), {}).source.credentials()

    with pytest.raises(ConfigError, match="no such profile"):
        asyncio.run(read(SrcProfileName="nobody"))
    with pytest.raises(ConfigError, match="give the machine a role"):
        asyncio.run(read())


def test_a_role_is_read_by_imds_2_and_again_before_it_expires(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "REREAD_INTERVAL", 0.0)
    with Metadata(Cloud.EC2) as machine:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)
        machine.grant_role("worker", "FIRST", "CANARY", lasts=3600)

        async def scenario() -> None:
            found = providers(settings(JobType="PUT"), os.environ).source
            keys = await found.credentials()
            assert (keys.access_key, keys.token) == ("FIRST", "session-FIRST")
            assert keys.region == "eu-west-1"
            assert keys.expires_at is not None
            machine.grant_role("worker", "SECOND", "CANARY", lasts=3600)
            assert (await found.credentials()).access_key == "FIRST"
            monkeypatch.setattr(cache, "EXPIRY_MARGIN", 3700.0)
            assert (await found.credentials()).access_key == "SECOND"

        asyncio.run(scenario())
        assert machine.tokens
        assert machine.refused == 0


def endpoint(
    service: str, region: str = "", profile: str = "", environ: dict[str, str] | None = None
) -> tuple[str, str]:
    return asyncio.run(aws_endpoint(service, region, profile, environ or {}))


def test_endpoints_follow_region_and_partition() -> None:
    assert endpoint("sqs", "eu-west-1") == ("https://sqs.eu-west-1.amazonaws.com", "eu-west-1")
    url, _ = endpoint("dynamodb", "cn-north-1")
    assert url == "https://dynamodb.cn-north-1.amazonaws.com.cn"


def test_endpoints_from_the_environment_come_first() -> None:
    both = {"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_SQS": "http://b:2"}
    assert endpoint("sqs", "x-1", environ=both) == ("http://b:2", "x-1")
    assert endpoint("dynamodb", "x-1", environ=both) == ("http://a:1", "x-1")
    ignored = both | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert endpoint("sqs", "eu-west-1", environ=ignored)[0].endswith(".amazonaws.com")


def test_endpoints_from_a_profile_s_services(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile here]\nregion = eu-west-3\nendpoint_url = http://all:1\nservices = mine\n"
        "[services mine]\nsqs =\n  endpoint_url = http://queue:2\n"
    )
    assert endpoint("sqs", profile="here") == ("http://queue:2", "eu-west-3")
    assert endpoint("dynamodb", profile="here") == ("http://all:1", "eu-west-3")


def test_endpoints_need_a_region() -> None:
    with pytest.raises(ConfigError, match="set AWS_REGION"):
        endpoint("sqs")
    assert endpoint("sqs", environ={"AWS_REGION": "eu-west-2"})[1] == "eu-west-2"
