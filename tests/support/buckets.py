"""Buckets for tests."""

from __future__ import annotations

import contextlib
from typing import Any


def make_bucket(boto: Any, name: str) -> None:
    """A new one. boto asks again where a reply is late, and is told then that it has it already."""
    with contextlib.suppress(boto.exceptions.BucketAlreadyOwnedByYou):
        boto.create_bucket(Bucket=name)
