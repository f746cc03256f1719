"""The same comparison on a real server that checks signatures: SeaweedFS on both sides.

It shares the machine and takes many times the movers' CPU, so objects per second say nothing
here. It speaks plain HTTP, and its replies carry MD5 sums only, which the mover has to compute.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import contest
import rivals
from measured import Cost
from native_servers import Pair


def _load(endpoint: str, keys: tuple[str, str], bucket: str, count: int, size: int) -> None:
    import boto3  # noqa: PLC0415  a third of a second
    from botocore.config import Config  # noqa: PLC0415

    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=Config(request_checksum_calculation="when_required"),
    )
    for name in (bucket, "target"):
        if name not in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=name)
    for number in range(count):
        s3.put_object(Bucket=bucket, Key=f"{number:09}", Body=os.urandom(size))


class _KeyedPair(Pair):
    """A pair whose workers have the keys of the real server."""

    keys: tuple[str, str] = ("", "")

    def environment(self, *settings: str) -> dict[str, str]:
        own = super().environment(*settings)
        for side in ("SRC_", "DEST_"):
            own[f"{side}AWS_ACCESS_KEY_ID"], own[f"{side}AWS_SECRET_ACCESS_KEY"] = self.keys
        return own


def run(pair: Pair, *, rounds: int, small: int, large_mib: int) -> dict[str, float]:
    """Ratios of CPU to tuned rclone's, of the relay and of the whole worker."""
    from support import servers  # noqa: PLC0415  the tests' own servers

    with servers.seaweedfs() as store:
        keyed = _KeyedPair(pair.source, pair.destination, pair.authority, pair.folder)
        _KeyedPair.keys = (store.access_key, store.secret_key)
        config = {
            "stores": (store.endpoint, store.endpoint),
            "dialects": ("generic", "generic"),
        }
        where = rivals.Endpoints(
            source=store.endpoint,
            destination=store.endpoint,
            ca="",
            folder=pair.folder,
            access_key=store.access_key,
            secret_key=store.secret_key,
            provider="SeaweedFS",
        )

        def relay(bucket: str, tag: str) -> Cost:
            return contest.relay(keyed, bucket, tag, path="relay", config=config)

        def worker(bucket: str, tag: str) -> Cost:
            return contest.worker(keyed, bucket, tag, config=config)

        taking_part = {
            contest.OURS: relay,
            contest.TUNED: lambda bucket, tag: rivals.rclone(where, bucket, tag, tuned=True),
            "3GSync worker": worker,
        }
        found: dict[str, float] = {}
        for label, count, size in (("small", small, 4096), ("large", 1, large_mib << 20)):
            bucket = f"src-{size}-{count}"
            _load(store.endpoint, _KeyedPair.keys, bucket, count, size)
            games = contest.Contest(lambda: 0.0)
            table: dict[str, contest.Row] = {}
            games.round({}, taking_part, bucket)  # warms the server's caches
            for _ in range(rounds):
                games.round(table, taking_part, bucket)
            found[f"real_{label}_cpu_ratio"] = round(contest.ratio(table, contest.OURS), 3)
            found[f"real_{label}_worker_ratio"] = round(contest.ratio(table, "3GSync worker"), 3)
    return found
