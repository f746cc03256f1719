"""Compares destination and source byte by byte, without any part of 3GSync."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sync.demo.names import DESTINATION, SOURCE
from sync.demo.stage import Stage

_STEP: Final = 1024 * 1024
_THREADS: Final = 4
_KEPT_HEADERS: Final = (
    "ContentType",
    "CacheControl",
    "ContentLanguage",
    "ContentDisposition",
    "ContentEncoding",
)
_DEFAULT_CACHE: Final = "private, max-age=0"
"""What Cloud Storage answers for an object that was written without a Cache-Control."""
_OWN_METADATA: Final = "3gsync-"


@dataclass(slots=True)
class Verdict:
    """What was found. ``objects`` and ``bytes`` are what the destination ought to hold;
    ``lost`` keys are missing, ``stale`` ones differ or should not be there.
    """

    objects: int = 0
    bytes: int = 0
    verified: int = 0
    bytes_read: int = 0
    lost: dict[str, str] = field(default_factory=dict)
    stale: dict[str, str] = field(default_factory=dict)


def listing(client: Any, bucket: str) -> dict[str, int]:
    """Size by key of everything in the bucket."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}


class Verification:
    """The comparison; ``verdict`` may be looked at while it runs."""

    def __init__(self, stage: Stage, *, left_out: Collection[str]) -> None:
        self._stage = stage
        self._left_out = left_out
        self._lock = threading.Lock()
        self.verdict = Verdict()

    def run(self) -> Verdict:
        """Look at every object of both sides."""
        there = listing(self._stage.destination, DESTINATION)
        every = listing(self._stage.source, SOURCE)
        wanted = {key: size for key, size in every.items() if key not in self._left_out}
        verdict = self.verdict
        verdict.bytes = sum(wanted.values())
        verdict.objects = len(wanted)
        for key in there.keys() - wanted.keys():
            verdict.stale[key] = "should not be there"
        for key in wanted.keys() - there.keys():
            verdict.lost[key] = "is missing"
        with ThreadPoolExecutor(_THREADS) as pool:
            # The largest first, so that none of them is left for the end.
            both = sorted(wanted.keys() & there.keys(), key=lambda key: -wanted[key])
            for _ in pool.map(self._compare, both):
                pass
        return verdict

    def _compare(self, key: str) -> None:
        try:
            fault = self._fault(key)
        except (BotoCoreError, ClientError, OSError) as error:
            fault = f"could not be compared: {error}"
        with self._lock:
            if fault:
                self.verdict.stale[key] = fault
            else:
                self.verdict.verified += 1

    def _fault(self, key: str) -> str:
        ours = self._stage.source.get_object(Bucket=SOURCE, Key=key)
        theirs = self._stage.destination.get_object(Bucket=DESTINATION, Key=key)
        with ours["Body"] as left, theirs["Body"] as right:
            return _difference(ours, theirs) or self._bytes_differ(left, right)

    def _bytes_differ(self, left: Any, right: Any) -> str:
        offset = 0
        for ours, theirs in _pairs(left.read, right.read):
            if ours != theirs:
                return f"the bytes differ from offset {offset} on"
            offset += len(ours)
            with self._lock:
                self.verdict.bytes_read += len(ours)
        return ""


def _pairs(
    left: Callable[[int], bytes], right: Callable[[int], bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """Both bodies in steps, until both have ended."""
    while True:
        ours, theirs = left(_STEP), right(_STEP)
        if not ours and not theirs:
            return
        yield ours, theirs


def _difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What the heads disagree in, or ""."""
    for name in ("ContentLength", *_KEPT_HEADERS):
        left, right = ours.get(name), theirs.get(name)
        if name == "CacheControl" and left is None and right == _DEFAULT_CACHE:
            continue
        if left != right:
            return f"{name} is {right!r}, not {left!r}"
    metadata = theirs["Metadata"]
    kept = {k: v for k, v in metadata.items() if not k.startswith(_OWN_METADATA)}
    if kept != ours["Metadata"]:
        return f"the metadata is {kept}, not {ours['Metadata']}"
    etag = ours["ETag"].strip('"')
    if metadata.get("3gsync-source-etag") != etag:
        return f"copied from version {metadata.get('3gsync-source-etag')}, not {etag}"
    return ""
