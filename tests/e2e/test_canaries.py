"""Known secrets, looked for in everything that 3GSync writes, in good runs and in bad ones."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from support.canary import canary, files_below, found, spellings
from support.moto_aws import MotoAws
from support.needed_permissions import REGION
from support.privileged_runs import SECRET, Scene, Servers
from support.rig import MIB, noise
from support.servers import S3Server
from support.worker_process import eventually
from sync import cli
from sync.adapters.s3_session import S3Session
from sync.standins.secretmanager import SecretManager


class Watch:
    """One scene, its secrets, and all that was said on the way."""

    def __init__(self, scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
        self.scene, self.rig, self._capfd = scene, scene.rig, capfd
        self.secrets: dict[str, str] = {}
        self.said: list[tuple[str, str]] = []
        self.rig.options |= {"LoggingLevel": "DEBUG", "LogFolder": "logs"}
        self.rig.secrets.clear()  # swept here, more thoroughly

    def secret(self, name: str, value: str = "") -> str:
        self.secrets[name] = value or canary(name)
        return self.secrets[name]

    def keys(self, prefix: str) -> None:
        """Keys with a session token; the server looks at neither."""
        self.rig.environ[f"{prefix}AWS_SECRET_ACCESS_KEY"] = self.secret(f"{prefix}secret")
        self.rig.environ[f"{prefix}AWS_SESSION_TOKEN"] = self.secret(f"{prefix}token")

    def run(self, *words: str, code: int = 0, stdin: str = "") -> str:
        """A verb in this process, at the most talkative level; its output."""
        root = logging.getLogger()
        heard = io.StringIO()
        ear = logging.StreamHandler(heard)
        level = root.level
        root.addHandler(ear)
        root.setLevel(logging.DEBUG)
        config = str(self.rig.write_config())
        self._capfd.readouterr()
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "environ", dict(self.rig.environ))
                patch.setattr("sync.worker.rest_the_collector", lambda: None)
                patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
                patch.chdir(self.rig.folder)
                ended = cli.main([*words, "--config", config])
        finally:
            root.removeHandler(ear)
            root.setLevel(level)
            for logger in (logging.getLogger("3gsync"), logging.getLogger("sync")):
                for handler in logger.handlers:
                    handler.close()
                logger.handlers.clear()
        printed = self._capfd.readouterr()
        name = " ".join(words[:2])
        self.said += [(f"{name}: stdout", printed.out), (f"{name}: stderr", printed.err)]
        self.said.append((f"{name}: libraries' logs", heard.getvalue()))
        assert ended == code, printed.err[-2000:]
        return printed.out + printed.err

    def work(self, *, code: int = 0) -> str:
        return self.run("worker", "--until-empty", "--processes", "1", "--json", code=code)

    def sweep(self) -> None:
        """AssertionError with the places of every secret that got out."""
        rig = self.rig
        places = [*self.said, *files_below(rig.folder)]
        places += [("dead letter", json.dumps(letter)) for letter in rig.queue.dead()]
        rows = self.scene.servers.aws.dynamodb.scan(TableName=rig.table)["Items"]
        places += [("ledger", repr(row)) for row in rows]
        for key in sorted(rig.target.keys()):
            held = rig.target.get(key)
            assert held is not None
            places.append((f"object {key}", repr(held.headers)))
        assert any(name.endswith(".log") for name, _ in places) or rig.options["LogFolder"] == ""
        assert found(self.secrets.values(), places) == []


@pytest.fixture
def watch(
    moto_server: S3Server,
    gcs_server: S3Server,
    aws: MotoAws,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Watch]:
    servers = Servers(moto_server, gcs_server, aws, tmp_path)
    with servers.scene(LogFormat="plain", MaxReceives=1, MaxRetry=1, Provenance=True) as scene:
        yield Watch(scene, capfd)


def test_the_sweep_finds_every_spelling(tmp_path: Path) -> None:
    secret = canary("x")
    for number, text in enumerate(spellings(secret)):
        (tmp_path / str(number)).write_text(f"…{text}…")
    assert len(found([secret], files_below(tmp_path))) == len(spellings(secret)) > 8
    assert found([canary("x")], files_below(tmp_path)) == []


def test_env_mode_in_good_runs_and_bad(watch: Watch, tmp_path: Path) -> None:
    rig = watch.rig
    watch.keys("SRC_")
    watch.secret("HMAC", rig.target.server.secret_key)
    rig.put("small", b"x")
    rig.put("large", noise(7 * MIB))
    rig.queue.send("not a job")
    watch.work(code=1)
    rig.environ["DEST_AWS_SECRET_ACCESS_KEY"] = watch.secret("wrong")
    rig.put("refused", b"x")
    assert "SignatureDoesNotMatch" in watch.work(code=1)
    pair = ("--source-bucket", rig.source.bucket, "--destination-bucket", rig.target.bucket)
    watch.run("jobsender", *pair, "--checkpoint", "jobs.checkpoint", code=1)
    watch.run("check", *pair, "--html", "page.html", "--report", "found.jsonl", code=1)
    watch.run("config", "check", "--online", "--source-bucket", rig.source.bucket, code=1)
    rig.environ["DEST_AWS_SECRET_ACCESS_KEY"] = rig.target.server.secret_key
    looks = ("--settle", "0", "--html", "page.html", "--report", "found.jsonl")
    watch.run("check", *pair, *looks, "--checksum", code=3)
    watch.run("jobsender", *pair, "--checkpoint", "jobs.checkpoint", "--backup", "backup")
    watch.run("config", "show")
    watch.run("explain", stdin=rig.event("small"))
    watch.sweep()


def test_get_mode_and_a_secret_that_is_malformed(watch: Watch) -> None:
    rig = watch.rig
    rig.options |= {"JobType": "GET", "ssm_parameter_credentials": f"{SECRET}/versions/latest"}
    for name in [name for name in rig.environ if name.startswith(("SRC_", "DEST_"))]:
        del rig.environ[name]
    watch.secret("HMAC", rig.target.server.secret_key)
    source = {
        "aws_access_key_id": "AKIASOURCE",
        "aws_secret_access_key": watch.secret("source"),
        "aws_session_token": watch.secret("token"),
        "region": REGION,
    }
    target = {
        "aws_access_key_id": rig.target.server.access_key,
        "aws_secret_access_key": rig.target.server.secret_key,
        "region": "auto",
    }
    whole = json.dumps({"source": source, "destination": target})
    with SecretManager() as secrets:
        rig.environ["SECRETMANAGER_EMULATOR_HOST"] = secrets.address
        for document in (whole[:-3], whole.replace("destination", "destinatoin")):
            secrets.add_version(SECRET, document.encode())
            watch.work(code=2)
        secrets.add_version(SECRET, whole.encode())
        rig.put("small", b"x")
        watch.work()
    watch.sweep()


def test_put_mode_with_a_profile_and_a_parameter(watch: Watch) -> None:
    rig = watch.rig
    rig.environ["AWS_ENDPOINT_URL_SSM"] = rig.store_destination_key()
    watch.secret("HMAC", rig.target.server.secret_key)
    keys = rig.folder.parent / "credentials"  # what the user wrote is not swept
    keys.write_text(
        "[machine]\naws_access_key_id = AKIASOURCE\n"
        f"aws_secret_access_key = {watch.secret('profile')}\n"
        f"aws_session_token = {watch.secret('token')}\nregion = {REGION}\n"
    )
    rig.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(keys)
    rig.options |= {"JobType": "PUT", "SrcProfileName": "machine"}
    rig.put("small", b"x")
    watch.work()
    watch.run("config", "check", "--online", "--source-bucket", rig.source.bucket)
    rig.options["ssm_parameter_credentials"] = "not-there"
    rig.put("other", b"x")
    watch.work(code=1)
    watch.sweep()


def test_proxies_and_endpoints_that_hold_a_password(watch: Watch) -> None:
    rig = watch.rig
    url = "http://somebody:{}@127.0.0.1:1"
    rig.put("small", b"x")
    rig.environ["AWS_MAX_ATTEMPTS"] = "1"
    del rig.environ["NO_PROXY"]
    rig.environ["HTTP_PROXY"] = url.format("plain" + watch.secret("proxy").replace("/", "%2F"))
    watch.work(code=1)
    watch.run("config", "show")
    rig.environ["HTTP_PROXY"] = url.replace("http:", "socks5:").format(canary_word(watch, "socks"))
    watch.work(code=2)
    del rig.environ["HTTP_PROXY"]
    rig.options["SrcEndPointURL"] = url.format(canary_word(watch, "endpoint"))
    for words in (("config", "check"), ("config", "show"), ("worker",)):
        watch.run(*words, code=2)
    rig.options["SrcEndPointURL"] = rig.source.server.endpoint
    rig.environ["AWS_ENDPOINT_URL_SQS"] = url.format(canary_word(watch, "queue"))
    watch.work(code=1)
    rig.options["LogFolder"] = ""
    (rig.folder / "config.ini").unlink()
    watch.sweep()


def canary_word(watch: Watch, name: str) -> str:
    """A password that may stand in a URL as it is."""
    return watch.secret(name, canary(name).replace("/", "_").rstrip("="))


class _Echo(BaseHTTPRequestHandler):
    """A store that says in its errors what it was sent."""

    def _refuse(self) -> None:
        heard = str(self.headers).replace("<", "").replace("&", "")
        text = f"<Error><Code>InvalidToken</Code><Message>{heard}</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PUT = do_HEAD = _refuse  # noqa: N815  the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


def test_a_store_that_echoes_headers_gets_no_token_into_the_logs(watch: Watch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        watch.keys("SRC_")
        watch.run("config", "show")
        watch.rig.options["SrcEndPointURL"] = f"http://127.0.0.1:{server.server_port}"
        watch.rig.put("small", b"x")
        assert "InvalidToken" in watch.work(code=1)
        watch.sweep()
    finally:
        server.shutdown()
        server.server_close()


def test_a_crash_shows_its_place_and_no_secret(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of our own, where the keys are at hand; also with all locals written out."""
    watch.keys("SRC_")
    watch.secret("HMAC", watch.rig.target.server.secret_key)
    rendered: list[str] = []
    real: Callable[..., Any] = S3Session._request

    def broken(session: S3Session, call: Any, credentials: Any) -> Any:
        signed = real(session, call, credentials)
        try:
            raise RuntimeError(f"injected: {signed!r} {credentials!r} {call!r} {session!r}")  # noqa: TRY301
        except RuntimeError as error:
            trace = traceback.TracebackException.from_exception(error, capture_locals=True)
            rendered.extend(trace.format())
            raise

    monkeypatch.setattr(S3Session, "_request", broken)
    watch.rig.put("small", b"x")
    assert "injected" in watch.work(code=1)
    watch.said.append(("traceback with locals", "".join(rendered)))
    assert "credentials = Credentials(" in watch.said[-1][1]
    watch.sweep()


def test_a_process_shows_no_secret_and_dies_without_one(watch: Watch) -> None:
    rig = watch.rig
    watch.secret("HMAC", rig.target.server.secret_key)
    watch.keys("SRC_")
    rig.options["ReceiveWait"] = 1
    rig.put("small", b"x")
    worker = rig.start(processes=2)
    eventually("it has worked", lambda: rig.target.keys() == {"small"})
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    assert len(children) == 2
    for pid in (str(worker.pid), *children):
        watch.said.append((f"cmdline of {pid}", Path(f"/proc/{pid}/cmdline").read_text()))
    os.kill(int(children[0]), signal.SIGABRT)
    eventually("its fall is told", lambda: "SIGABRT" in worker.err.read_text())
    worker.terminate()
    worker.ended()
    assert not list(rig.folder.glob("core*"))
    watch.sweep()
