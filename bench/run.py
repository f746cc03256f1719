"""`make bench`: CPU of the worker beside rclone, on the same SeaweedFS server, in one run.

CPU is user + system time of the mover's whole process (start-up included), as the operating
system accounts it when the process ends; the servers are not counted. Rounds are interleaved
and medians quoted. The worker takes its jobs from an SQS queue (moto) and looks at the source
once more after each write; rclone lists the bucket and copies, tuned as its manual allows.

Last line: {"small_cpu_ratio", "large_cpu_ratio", "worker_cpu_s_per_1000", "rclone_cpu_s_per_1000",
"worker_cpu_s_per_gib", "rclone_cpu_s_per_gib", "worker_rss_mb", "rclone_rss_mb", "openssl", "tls"}
"""

from __future__ import annotations

import argparse
import json
import os
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402

from support import servers  # noqa: E402

BIN = Path(sys.executable).parent
MIB = 1024 * 1024
CONFIG = """[Basic]
SrcEndPointURL = {endpoint}
DestEndPointURL = {endpoint}
JobType = ENV
table_queue_name =
sqs_queue_name = {queue}
Des_bucket_default = target
IgnoreList =
[Mode]
Connections = 32
[Debug]
LoggingLevel = WARNING
"""


@dataclass(frozen=True)
class Cost:
    """What one run of a mover took."""

    cpu: float
    rss_mb: float


def measure(command: list[str], environ: dict[str, str], folder: Path) -> Cost:
    """Run to the end; its own user + system seconds and peak memory."""
    with (folder / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            command, env=environ, cwd=folder, stdout=out, stderr=subprocess.STDOUT
        )
        peak = 0.0
        while True:
            peak = max(peak, peak_mb(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed:\n{(folder / 'out.txt').read_text()[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, peak)


def peak_mb(pid: int) -> float:
    """VmHWM; the accounting of the ended process would count the bench's own memory at fork."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


class Bench:
    """Servers, objects, and one way to copy for each mover."""

    def __init__(self, store: servers.S3Server, queues: servers.S3Server, folder: Path) -> None:
        self.store = store
        self.queues = queues
        self.folder = folder
        own = {"aws_access_key_id": store.access_key, "aws_secret_access_key": store.secret_key}
        plain = Config(request_checksum_calculation="when_required", retries={"max_attempts": 5})
        self.s3 = boto3.client(
            "s3", endpoint_url=store.endpoint, region_name="us-east-1", config=plain, **own
        )
        self.sqs = boto3.client("sqs", endpoint_url=queues.endpoint, region_name="us-east-1", **own)
        self.s3.create_bucket(Bucket="target")

    def load(self, bucket: str, count: int, size: int) -> None:
        self.s3.create_bucket(Bucket=bucket)
        for number in range(count):
            self.s3.put_object(Bucket=bucket, Key=f"{number:06}", Body=os.urandom(size))

    def worker(self, bucket: str, count: int, size: int, name: str) -> Cost:
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        for start in range(0, count, 10):
            numbers = range(start, min(start + 10, count))
            entries = [
                {"Id": str(n), "MessageBody": self._job(bucket, f"{n:06}", size, name)}
                for n in numbers
            ]
            self.sqs.send_message_batch(QueueUrl=url, Entries=entries)
        config = self.folder / f"{name}.ini"
        config.write_text(CONFIG.format(endpoint=self.store.endpoint, queue=name))
        command = [sys.executable, "-m", "sync.worker", "--processes", "1"]
        command += ["--max-jobs", str(count), "--config", str(config)]
        return measure(command, self._environ(), self.folder)

    def _job(self, bucket: str, key: str, size: int, prefix: str) -> str:
        job: dict[str, Any] = {"Src_bucket": bucket, "Src_key": key, "Size": size}
        return json.dumps({**job, "Des_bucket": "target", "Des_key": f"{prefix}/{key}"})

    def _environ(self) -> dict[str, str]:
        own = {
            "NO_GCE_CHECK": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_SQS": self.queues.endpoint,
        }
        for side in ("SRC_", "DEST_"):
            own[f"{side}AWS_ACCESS_KEY_ID"] = self.store.access_key
            own[f"{side}AWS_SECRET_ACCESS_KEY"] = self.store.secret_key
        return {**os.environ, **own}

    def rclone(self, bucket: str, name: str) -> Cost:
        command = [str(BIN / "rclone"), "copy", f"a:{bucket}", f"b:target/{name}"]
        command += ["--transfers", "32", "--checkers", "32", "--no-traverse", "--no-check-dest"]
        command += ["--s3-no-head", "--s3-no-check-bucket", "--s3-disable-checksum"]
        command += ["--ignore-checksum", "--s3-chunk-size", "10Mi", "--config", os.devnull]
        command += ["--s3-upload-cutoff", "50Mi", "--s3-upload-concurrency", "8"]
        # Two remotes: within one rclone would have the server copy and move no bytes itself.
        environ = dict(os.environ)
        for remote in ("A", "B"):
            environ[f"RCLONE_CONFIG_{remote}_TYPE"] = "s3"
            environ[f"RCLONE_CONFIG_{remote}_PROVIDER"] = "SeaweedFS"
            environ[f"RCLONE_CONFIG_{remote}_ENDPOINT"] = self.store.endpoint
            environ[f"RCLONE_CONFIG_{remote}_ACCESS_KEY_ID"] = self.store.access_key
            environ[f"RCLONE_CONFIG_{remote}_SECRET_ACCESS_KEY"] = self.store.secret_key
        return measure(command, environ, self.folder)


def compare(bench: Bench, *, label: str, count: int, size: int, rounds: int) -> dict[str, float]:
    """Interleaved rounds; medians of CPU and memory, and the median of the rounds' ratios."""
    bench.load(label, count, size)
    ours, theirs = [], []
    for number in range(rounds + 1):  # the first of each warms the server up and is not counted
        pair = (
            bench.worker(label, count, size, f"{label}-worker-{number}"),
            bench.rclone(label, f"{label}-rclone-{number}"),
        )
        if number:
            ours.append(pair[0])
            theirs.append(pair[1])
            print(f"{label} {number}: worker {pair[0].cpu:.2f} s, rclone {pair[1].cpu:.2f} s CPU")
    return {
        "worker": statistics.median(c.cpu for c in ours),
        "rclone": statistics.median(c.cpu for c in theirs),
        "ratio": statistics.median(a.cpu / b.cpu for a, b in zip(ours, theirs, strict=True)),
        "worker_rss": max(c.rss_mb for c in ours),
        "rclone_rss": max(c.rss_mb for c in theirs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=2000, help="objects of 4 KiB")
    parser.add_argument("--large", type=int, default=512, help="MiB of one large object")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.seaweedfs() as store,
        servers.moto_s3() as queues,
    ):
        bench = Bench(store, queues, Path(folder))
        small = compare(bench, label="small", count=given.small, size=4096, rounds=given.rounds)
        size = given.large * MIB
        large = compare(bench, label="large", count=1, size=size, rounds=given.rounds)
    thousands, gib = given.small / 1000, given.large / 1024
    figures = {
        "small_cpu_ratio": round(small["ratio"], 3),
        "large_cpu_ratio": round(large["ratio"], 3),
        "worker_cpu_s_per_1000": round(small["worker"] / thousands, 3),
        "rclone_cpu_s_per_1000": round(small["rclone"] / thousands, 3),
        "worker_cpu_s_per_gib": round(large["worker"] / gib, 3),
        "rclone_cpu_s_per_gib": round(large["rclone"] / gib, 3),
        "worker_rss_mb": round(max(small["worker_rss"], large["worker_rss"])),
        "rclone_rss_mb": round(max(small["rclone_rss"], large["rclone_rss"])),
        "openssl": ssl.OPENSSL_VERSION,
        "tls": False,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
