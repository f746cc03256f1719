"""Objects that hold secrets show none, and requests with secrets go where they are meant to."""

from __future__ import annotations

import ast
import asyncio
import gc
import json
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from google.oauth2.credentials import Credentials as OauthCredentials

from support.canary import canary, found
from sync.adapters.aws_json import JsonApi, origin_of
from sync.adapters.clock import SystemClock
from sync.adapters.credentials.google_secret import fetch_secret
from sync.adapters.credentials.ssm import fetch_parameter
from sync.adapters.dialects import BY_NAME
from sync.adapters.echoes import without
from sync.adapters.queue_admin import SQS
from sync.adapters.s3 import S3Store
from sync.checksums import BytesStream
from sync.config import load
from sync.errors import ConfigError, SyncError
from sync.model import ObjectHeaders, ObjectRef
from sync.ports import Credentials
from sync.wire.client import Client
from sync.wire.proxy import Proxies
from sync.wire.sigv4 import Signer
from sync.wiring import open_stores, transfer_budget, transfer_context

ROOT = Path(__file__).parents[2]


class Keys:
    """A CredentialProvider with a secret of its own."""

    def __init__(self, keys: Credentials) -> None:
        self._keys = keys

    async def credentials(self) -> Credentials:
        return self._keys

    def invalidate(self) -> None:
        pass


def made_up() -> Credentials:
    return Credentials("AKIAEXAMPLE", canary("secret"), token=canary("token"), region="eu-west-1")


# --- objects --------------------------------------------------------------------------------


def _ours(root: object) -> Iterator[object]:
    """Every object of this package that can be reached from here."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__module__ == "builtins.module":
            continue
        seen.add(id(one))
        module = type(one).__module__
        if module.startswith("sync"):
            yield one
        if module.startswith("sync") or isinstance(one, dict | list | tuple | set):
            todo += gc.get_referents(one)


def test_no_object_of_a_wired_worker_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {name: canary(name) for name in ("SRC", "DEST", "TOKEN")}
    password = canary("proxy").replace("/", "_")
    environ = {
        "THREEGSYNC_JOBTYPE": "ENV",
        "THREEGSYNC_DES_BUCKET_DEFAULT": "bucket",
        "THREEGSYNC_IGNORELIST": "",
        "SRC_AWS_ACCESS_KEY_ID": "AKIASOURCE",
        "SRC_AWS_SECRET_ACCESS_KEY": secrets["SRC"],
        "SRC_AWS_SESSION_TOKEN": secrets["TOKEN"],
        "DEST_AWS_ACCESS_KEY_ID": "AKIADESTINATION",
        "DEST_AWS_SECRET_ACCESS_KEY": secrets["DEST"],
        "AWS_REGION": "eu-west-1",
        "HTTPS_PROXY": f"http://somebody:{password}@proxy.example:3128",
    }

    async def look() -> list[tuple[str, str]]:
        settings = load(Path("/dev/null"), environ)
        async with open_stores(settings, environ) as stores:
            for provider in (stores.keys.source, stores.keys.destination):
                assert (await provider.credentials()).secret_key in secrets.values()
            context = transfer_context(
                settings, stores, ledger=None, budget=transfer_budget(settings), observer=None,  # type: ignore[arg-type]
            )  # fmt: skip
            reached = list(_ours(context))
            keys = [one for one in reached if isinstance(one, Credentials)]
            assert {one.secret_key for one in keys} == {secrets["SRC"], secrets["DEST"]}
            shown = [(type(one).__name__, f"{one!r} {one!s} {one}") for one in reached]
            kinds = {name for name, _ in shown}
            assert {"Credentials", "KeyCache", "S3Session", "Client", "Proxies"} <= kinds
            return [*shown, ("context", repr(context)), ("stores", repr(stores))]

    assert found([*secrets.values(), password], asyncio.run(look())) == []


def test_keys_in_tracebacks_with_locals_and_in_containers_stay_hidden() -> None:
    keys = made_up()
    proxies = Proxies.from_environment({"ALL_PROXY": f"http://u:{keys.secret_key[:6]}x@h:1"})

    def fails(held: dict[str, Any]) -> None:
        raise ValueError(held)

    try:
        fails({"keys": keys, "ring": [keys], "proxies": proxies})
    except ValueError as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        text = "".join(trace.format())
    assert "Credentials(…MPLE)" in text
    assert found([keys.secret_key, keys.token], [("traceback", text)]) == []


def test_a_signed_request_and_its_signer_show_nothing() -> None:
    keys, signer = made_up(), Signer(service="s3")
    signer.sign(
        method="GET", host="h", path="/", query=(), headers=(), payload_hash="UNSIGNED-PAYLOAD",
        credentials=keys, region="r", now=1.0,
    )  # fmt: skip
    assert found([keys.secret_key, keys.token], [("signer", repr(signer))]) == []


def test_what_echoes_is_taken_out_of_refusals() -> None:
    token = canary("token")
    body = json.dumps({"message": f"bad {token}"}).replace("/", "\\/").encode()
    assert found([token], [("body", without(body, [token]).decode())]) == []
    assert without(b"nothing", []) == b"nothing"


def test_an_endpoint_that_is_no_url_is_told_without_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        origin_of("htp://somebody:pa55word@host", title="SQS")
    assert "host" in str(caught.value)
    assert "pa55word" not in str(caught.value)


def test_nothing_makes_presigned_urls() -> None:
    """A URL that is signed works for whoever reads it in a log."""
    made = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("sync", "tools")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and "presign" in node.attr
    ]
    assert made == []


# --- redirects ------------------------------------------------------------------------------


class Place:
    """A server that redirects everything elsewhere, or only listens."""

    def __init__(self, status: int = 200, elsewhere: str = "") -> None:
        self.heard: list[tuple[str, str]] = []
        place = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                place.heard.append((f"{self.command} {self.path}", str(self.headers)))
                self.send_response(status)
                if elsewhere:
                    self.send_header("Location", elsewhere + self.path)
                    self.send_header("x-amz-bucket-region", "elsewhere-1")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815  the base class's

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as above
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(params=[301, 302, 303, 307, 308])
def places(request: pytest.FixtureRequest) -> Iterator[tuple[Place, Place]]:
    there = Place()
    here = Place(request.param, there.url)
    yield here, there
    here.close()
    there.close()


@pytest.mark.parametrize("dialect", sorted(BY_NAME))
def test_stores_and_queues_are_not_followed_elsewhere(
    places: tuple[Place, Place], dialect: str
) -> None:
    here, there = places
    keys, ref = made_up(), ObjectRef("bucket-1", "key")

    async def ask() -> None:
        client = Client()
        store = S3Store(
            client=client, credentials=Keys(keys), endpoint=here.url, dialect=BY_NAME[dialect],
            addressing="path",
        )  # fmt: skip
        api = JsonApi(
            service=SQS, client=client, credentials=Keys(keys), endpoint=here.url,
            region="eu-west-1", clock=SystemClock(),
        )  # fmt: skip
        for call in (
            store.head(ref),
            store.put(ref, BytesStream(b"x"), ObjectHeaders()),
            store.delete(ref),
            store.list_page("bucket-1"),
            api.call("GetQueueUrl", {"QueueName": "q"}),
        ):
            with pytest.raises(SyncError) as caught:
                await call
            assert found([keys.secret_key, keys.token], [("error", str(caught.value))]) == []
        await client.close()

    asyncio.run(ask())
    assert there.heard == []
    assert len(here.heard) >= 5
    assert all(keys.token in headers for _, headers in here.heard)
    # A token in a URL would be in the logs of every proxy on the way.
    assert found([keys.token], [("url", line) for line, _ in here.heard]) == []
    assert not any("referer" in headers.lower() for _, headers in here.heard)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_libraries_take_no_keys_elsewhere(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = places
    keys = made_up()
    for name, value in {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ENDPOINT_URL_SSM": here.url,
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SyncError):
        fetch_parameter("any", profile="", environ={})
    token = canary("token")
    monkeypatch.setattr(
        "google.auth.credentials.AnonymousCredentials",
        lambda: OauthCredentials(token=token),  # type: ignore[no-untyped-call]
    )
    environ = {"SECRETMANAGER_EMULATOR_HOST": here.url}
    with pytest.raises(SyncError):
        fetch_secret("projects/p/secrets/s/versions/latest", environ)
    assert any(token in headers for _, headers in here.heard)
    assert here.heard
    heard = [("elsewhere", f"{line} {headers}") for line, headers in there.heard]
    assert found([keys.secret_key, keys.token, token], heard) == []
    assert not any("authorization" in text.lower() for _, text in heard)
