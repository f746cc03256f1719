"""Servers that TLS must refuse, each really spoken to, and no way round it in the source."""

from __future__ import annotations

import ast
import ssl
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.wire_server import Peer, ok, run_on, scripted
from sync.adapters.credentials.ssm import fetch_parameter
from sync.errors import SyncError, TransientStoreError
from sync.wire.client import Client
from sync.wire.request import Request
from sync.wire.tls import tls_context

ROOT = Path(__file__).parents[2]
AUTHORITY = trustme.CA()
_NOW = datetime.now(UTC)


def _server(
    authority: trustme.CA = AUTHORITY, name: str = "localhost", **dates: Any
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **dates).configure_cert(context)
    return context


def _only(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = _server()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


REFUSED = {
    "expired": (
        _server(not_before=_NOW - timedelta(9), not_after=_NOW - timedelta(2)),
        "has expired",
    ),
    "not yet": (
        _server(not_before=_NOW + timedelta(2), not_after=_NOW + timedelta(9)),
        "not yet valid",
    ),
    "self-signed": (_server(trustme.CA()), "accepted"),
    "another name": (_server(name="other.example"), "mismatch"),
    "TLS 1.0": (_only(ssl.TLSVersion.TLSv1), "TLS 1.2"),
    "TLS 1.1": (_only(ssl.TLSVersion.TLSv1_1), "TLS 1.2"),
}
ACCEPTED = {"TLS 1.2": _only(ssl.TLSVersion.TLSv1_2), "TLS 1.3": _only(ssl.TLSVersion.TLSv1_3)}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    path.write_bytes(AUTHORITY.cert_pem.bytes())
    return path


async def _answer(peer: Peer) -> None:
    await peer.request()
    await peer.say(ok(b"hello"))


@pytest.mark.parametrize("fault", REFUSED)
def test_a_server_that_cannot_be_trusted_gets_no_request(fault: str, bundle: Path) -> None:
    context, said = REFUSED[fault]

    async def main() -> None:
        async with scripted(_answer, tls=context) as served:
            client = Client(tls=tls_context(str(bundle)))
            request = Request("PUT", served.origin, "/", (("authorization", "secret"),), body=b"x")
            with pytest.raises(TransientStoreError) as caught:
                await client.send(request)
            await client.close()
            assert "localhost" in str(caught.value)
            assert said in str(caught.value)
            assert [peer.heads for peer in served.peers if peer.heads] == []

    run_on("asyncio", main())


@pytest.mark.parametrize("version", ACCEPTED)
def test_what_is_new_enough_is_spoken(version: str, bundle: Path) -> None:
    async def main() -> None:
        async with scripted(_answer, tls=ACCEPTED[version]) as served:
            client = Client(tls=tls_context(str(bundle)))
            assert (await client.send(Request("GET", served.origin, "/"))).body == b"hello"
            await client.close()

    run_on("asyncio", main())


def test_a_context_verifies_chain_and_name() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not context.keylog_filename or context.keylog_filename == ""


def test_boto3_verifies_too(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both with the system's authorities and with CABundle: SSM holds the destination's keys."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    async def main() -> None:
        import asyncio

        for context, trusted in ((_server(), None), (_server(name="other.example"), bundle)):
            async with scripted(_answer, tls=context) as served:
                url = f"https://localhost:{served.origin.port}"
                monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
                with pytest.raises(SyncError, match="SSL"):
                    await asyncio.to_thread(
                        fetch_parameter, "any", profile="", environ={}, ca_bundle=trusted
                    )
                assert [peer.heads for peer in served.peers if peer.heads] == []

    run_on("asyncio", main())


# --- the source -----------------------------------------------------------------------------


def _trees() -> Iterator[tuple[Path, ast.AST]]:
    for folder in ("sync", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def _loosened(tree: ast.AST) -> Iterator[str]:
    names = {"CERT_NONE", "CERT_OPTIONAL", "_create_unverified_context", "disable_warnings"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in names:
                yield name
        if isinstance(node, ast.keyword) and node.arg in {"verify", "use_ssl", "check_hostname"}:
            yield from (
                [ast.unparse(node)] if ast.unparse(node.value) in {"False", "0", "''"} else []
            )
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in {
                    "check_hostname",
                    "verify_mode",
                }:
                    yield f"{target.attr} = {ast.unparse(node.value)}"


def test_nowhere_is_verification_switched_off() -> None:
    assert {str(path): found for path, tree in _trees() if (found := list(_loosened(tree)))} == {}
    for text in (
        "x(verify=False)", "ssl.CERT_NONE", "c.check_hostname = False", "x(use_ssl=False)",
        "from ssl import CERT_NONE as n; CERT_NONE", "ssl._create_unverified_context()",
    ):  # fmt: skip
        assert list(_loosened(ast.parse(text))), text


def test_contexts_are_made_in_one_place() -> None:
    """All others come from `tls_context`; the stand-ins' are servers'."""
    makers = {"SSLContext", "create_default_context", "wrap_socket"}
    found = {
        path.as_posix()
        for path, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in makers
    }
    assert {p for p in found if not p.startswith("sync/standins/")} == {"sync/wire/tls.py"}
