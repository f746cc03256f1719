"""The machine's name and its end, from metadata servers like Google's and EC2's."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from sync.adapters.metadata import instance_name, wait_for_notice
from sync.standins.metadata import Cloud, Metadata


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address where connections are refused."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def gce(nowhere: str) -> Iterator[tuple[Metadata, dict[str, str]]]:
    with Metadata(Cloud.GCE, name="gce-7") as machine:
        yield (
            machine,
            {
                "GCE_METADATA_HOST": machine.address,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{nowhere}",
            },
        )


@pytest.fixture
def ec2(nowhere: str) -> Iterator[tuple[Metadata, dict[str, str]]]:
    with Metadata(Cloud.EC2, name="i-0abc") as machine:
        yield (
            machine,
            {
                "GCE_METADATA_HOST": machine.address,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.url + "/",
            },
        )


Machine = tuple[Metadata, dict[str, str]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_the_name_comes_from_gce(gce: Machine) -> None:
    assert asyncio.run(instance_name(gce[1])) == "gce-7"


def test_the_name_comes_from_ec2_with_a_token(ec2: Machine) -> None:
    machine, environ = ec2
    assert asyncio.run(instance_name(environ)) == "i-0abc"
    assert machine.tokens


def test_the_stand_in_refuses_requests_without_token_or_flavor(gce: Machine, ec2: Machine) -> None:
    urls = (
        f"{ec2[0].url}/latest/meta-data/instance-id",
        f"{gce[0].url}/computeMetadata/v1/instance/name",
    )
    for url, status in zip(urls, (401, 403), strict=True):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url)
        with caught.value as reply:
            assert reply.code == status


def test_elsewhere_the_host_s_name_serves(nowhere: str) -> None:
    environ = {
        "GCE_METADATA_HOST": nowhere,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{nowhere}",
    }
    assert asyncio.run(instance_name(environ)) == socket.gethostname()
    assert asyncio.run(wait_for_notice(environ)) == ""
    off = {"NO_GCE_CHECK": "true", "AWS_EC2_METADATA_DISABLED": "true"}
    assert asyncio.run(instance_name(off)) == socket.gethostname()


def test_a_silent_server_costs_no_more_than_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        environ = {
            "GCE_METADATA_HOST": address,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{address}",
        }
        begun = time.monotonic()
        assert asyncio.run(instance_name(environ, timeout=0.2)) == socket.gethostname()
        assert time.monotonic() - begun < 5


SIGNED = b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (SIGNED + b"gce-8\n", "gce-8"),
        (b"", ""),
        (b"junk\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\n\r\nname", ""),
        (SIGNED.replace(b"200 OK", b"302 Found"), ""),
        (SIGNED + b"\xff", ""),
        (SIGNED + b"x" * 10**6, ""),
    ],
)
def test_other_servers_on_the_address_are_not_believed(reply: bytes, name: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            environ = {"GCE_METADATA_HOST": address, "AWS_EC2_METADATA_DISABLED": "true"}
            assert await instance_name(environ) == (name or socket.gethostname())
            if not name:
                assert await wait_for_notice(environ) == ""

    asyncio.run(scenario())


def test_preemption_on_gce_is_told_at_once(gce: Machine) -> None:
    machine, environ = gce

    async def scenario() -> None:
        waiting = asyncio.create_task(wait_for_notice(environ))
        await until(lambda: machine.waiting == 2)
        machine.preempt()
        async with asyncio.timeout(10):
            assert await waiting == "GCE preempted: TRUE"

    asyncio.run(scenario())


def test_preemption_before_the_watch_begins_is_seen(gce: Machine) -> None:
    machine, environ = gce
    machine.preempt()
    assert asyncio.run(wait_for_notice(environ)) == "GCE preempted: TRUE"


def test_host_maintenance_that_ends_the_machine_is_told(gce: Machine) -> None:
    machine, environ = gce

    async def scenario() -> None:
        waiting = asyncio.create_task(wait_for_notice(environ))
        await until(lambda: machine.waiting == 2)
        machine.set("/computeMetadata/v1/instance/maintenance-event", "MIGRATE_ON_HOST_MAINTENANCE")
        await until(lambda: machine.waiting == 2)
        assert not waiting.done()
        machine.maintain()
        reason = await waiting
        assert reason == "GCE maintenance-event: TERMINATE_ON_HOST_MAINTENANCE"

    asyncio.run(scenario())


def test_a_metadata_server_that_fails_for_a_while_is_asked_again(gce: Machine) -> None:
    machine, environ = gce

    async def scenario() -> None:
        waiting = asyncio.create_task(wait_for_notice(environ, poll=0.05))
        await until(lambda: machine.waiting == 2)
        machine.broken = True
        machine.set("/computeMetadata/v1/instance/maintenance-event", "SOMETHING")
        await asyncio.sleep(0.2)
        assert not waiting.done()
        machine.preempt()
        machine.broken = False
        async with asyncio.timeout(10):
            assert await waiting == "GCE preempted: TRUE"

    asyncio.run(scenario())


def test_a_spot_notice_is_polled_with_tokens(ec2: Machine) -> None:
    machine, environ = ec2

    async def scenario() -> None:
        waiting = asyncio.create_task(wait_for_notice(environ, poll=0.02))
        await until(lambda: len(machine.tokens) > 3)
        assert not waiting.done()
        machine.broken = True
        await asyncio.sleep(0.1)
        machine.broken = False
        machine.preempt()
        async with asyncio.timeout(10):
            assert (await waiting).startswith("EC2 spot: terminate at 20")

    asyncio.run(scenario())
    assert machine.refused == 1, "only the probe for Google's server went without a token"


def test_a_notice_nobody_can_read_is_one_all_the_same(ec2: Machine) -> None:
    machine, environ = ec2
    machine.set("/latest/meta-data/spot/instance-action", "[]")
    assert asyncio.run(wait_for_notice(environ)) == "EC2 spot: []"


def test_the_watch_can_be_cancelled_at_once(gce: Machine) -> None:
    machine, environ = gce

    async def scenario() -> None:
        waiting = asyncio.create_task(wait_for_notice(environ))
        await until(lambda: machine.waiting == 2)
        waiting.cancel()
        async with asyncio.timeout(2):
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(scenario())


def test_in_lambda_the_log_stream_names_the_worker() -> None:
    stream = "2026/11/21/[$LATEST]abc123"
    assert asyncio.run(instance_name({"AWS_LAMBDA_LOG_STREAM_NAME": stream})) == "lambda-abc123"


def test_nothing_of_this_looks_at_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    off = {"NO_GCE_CHECK": "true", "AWS_EC2_METADATA_DISABLED": "true"}
    assert asyncio.run(instance_name(off)) == socket.gethostname()
