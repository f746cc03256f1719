"""How the others are told to copy a bucket: rclone tuned and at its defaults, s5cmd, boto3."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import distribution
from pathlib import Path

from measured import Cost, measure
from native_servers import ACCESS_KEY, SECRET_KEY, Pair

BIN = Path(sys.executable).parent
BENCH = Path(__file__).resolve().parent
# What rclone's manual offers against work that the comparison does not ask for: no look at the
# destination before, no HEAD after, no MD5 where none is compared, no modification times.
TUNED = (
    *("--no-traverse", "--no-check-dest", "--s3-no-head", "--s3-no-check-bucket"),
    *("--s3-disable-checksum", "--ignore-checksum", "--s3-use-unsigned-payload=true"),
    *("--no-update-modtime", "--no-update-dir-modtime", "--use-server-modtime"),
)


@dataclass(frozen=True)
class Endpoints:
    """Where the two stores are and which authority to trust ("" for none)."""

    source: str
    destination: str
    ca: str
    folder: Path
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    provider: str = "Other"


def of_pair(both: Pair) -> Endpoints:
    """The native servers."""
    return Endpoints(
        source=both.source.url,
        destination=both.destination.url,
        ca=str(both.authority.ca),
        folder=both.folder,
    )


def rclone(where: Endpoints, bucket: str, prefix: str, *, tuned: bool, wide: int = 32) -> Cost:
    """Two remotes: within one rclone would have the server copy and move no bytes itself."""
    command = [str(BIN / "rclone"), "copy", f"a:{bucket}", f"b:target/{prefix}"]
    command += ["--config", os.devnull]
    command += ["--ca-cert", where.ca] if where.ca else []
    if tuned:
        command += [*TUNED, "--transfers", str(wide), "--checkers", str(wide)]
        command += ["--s3-chunk-size", "16Mi", "--s3-upload-cutoff", "50Mi"]
        command += ["--s3-upload-concurrency", "8", "--multi-thread-chunk-size", "16Mi"]
    return measure(command, _rclone_environment(where), where.folder)


# As AWS is listed, which takes rclone less than what it does with an unknown provider.
LISTING = ("--s3-list-version", "2", "--s3-list-url-encode", "true")


def rclone_check(where: Endpoints, source: str, destination: str, *options: str) -> Cost:
    """Two whole buckets compared by size. It exits with 1 where they differ."""
    command = [str(BIN / "rclone"), "check", "--size-only", f"a:{source}", f"b:{destination}"]
    command += [*LISTING, *options, "--config", os.devnull, "--ca-cert", where.ca]
    return measure(command, _rclone_environment(where), where.folder, exits=(0, 1))


def rclone_lsf(where: Endpoints, source: str) -> Cost:
    """Keys and sizes of one bucket, printed."""
    command = [str(BIN / "rclone"), "lsf", "-R", "--files-only", "--format", "sp", f"a:{source}"]
    command += [*LISTING, "--config", os.devnull, "--ca-cert", where.ca]
    return measure(command, _rclone_environment(where), where.folder)


def _rclone_environment(where: Endpoints) -> dict[str, str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(where.folder)}
    for remote, endpoint in (("A", where.source), ("B", where.destination)):
        environ[f"RCLONE_CONFIG_{remote}_TYPE"] = "s3"
        environ[f"RCLONE_CONFIG_{remote}_PROVIDER"] = where.provider
        environ[f"RCLONE_CONFIG_{remote}_ENDPOINT"] = endpoint
        environ[f"RCLONE_CONFIG_{remote}_ACCESS_KEY_ID"] = where.access_key
        environ[f"RCLONE_CONFIG_{remote}_SECRET_ACCESS_KEY"] = where.secret_key
    return environ


def s5cmd(where: Endpoints, bucket: str, prefix: str) -> Cost:
    """By way of a local folder: between two endpoints s5cmd cannot copy at all."""
    local = Path(tempfile.mkdtemp(prefix="s5cmd-", dir=where.folder))
    environ = _aws_environment(where)
    program = [str(_s5cmd_itself()), "--numworkers", "32", "--log", "error", "--endpoint-url"]
    read = [*program, where.source, "cp", f"s3://{bucket}/*", f"{local}/"]
    write = [*program, where.destination, "cp", f"{local}/", f"s3://target/{prefix}/"]
    first = measure(read, environ, where.folder)
    second = measure(write, environ, where.folder)
    shutil.rmtree(local)
    return replace(
        second,
        cpu=first.cpu + second.cpu,
        wall=first.wall + second.wall,
        rss_mb=max(first.rss_mb, second.rss_mb),
    )


def _s5cmd_itself() -> Path:
    """The program, not the Python script that starts it: that one's start is not its cost."""
    found = next(f for f in distribution("s5cmd").files or () if "s5cmd/bin/s5cmd" in str(f))
    return Path(str(found.locate())).resolve()


def boto3(where: Endpoints, bucket: str, prefix: str, *, chunk: int = 16) -> Cost:
    """get_object, then put_object with Content-MD5, in threads."""
    command = [sys.executable, str(BENCH / "boto3_threads.py"), where.source, where.destination]
    command += [bucket, prefix, str(chunk)]
    return measure(command, _aws_environment(where), where.folder)


def _aws_environment(where: Endpoints) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(where.folder),
        "AWS_ACCESS_KEY_ID": where.access_key,
        "AWS_SECRET_ACCESS_KEY": where.secret_key,
        "AWS_REGION": "us-east-1",
        "AWS_CA_BUNDLE": where.ca,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
    }
