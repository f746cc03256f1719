"""Signatures, against botocore's, for any key and query."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from unittest import mock
from urllib.parse import unquote

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from faults.inputs.target import Target, agree
from sync.errors import KeyNotAllowed
from sync.ports import Credentials
from sync.wire.sigv4 import EMPTY_HASH, Signer, encode_key, encode_query

_KEYS: Final = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
_BOTO: Final = BotoCredentials(_KEYS.access_key, _KEYS.secret_key)
_WHEN: Final = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
_SIGNER: Final = Signer(service="s3")


def _signature(data: bytes) -> None:
    """The key, then the query's names and values, one a NUL apart."""
    key, *texts = data.decode("utf-8", "replace").split("\0")
    query = list(zip(texts[::2], texts[1::2], strict=False))
    path = "/bucket/" + encode_key(key)
    agree(unquote(path.removeprefix("/bucket/"), errors="strict"), key, "a path")
    target, headers = _SIGNER.sign(
        method="GET", host="s3.example", path=path, query=query, headers=(),
        payload_hash=EMPTY_HASH, credentials=_KEYS, region="us-east-1", now=_WHEN.timestamp(),
    )  # fmt: skip
    if not (target.isascii() and target.isprintable()) or " " in target:
        raise AssertionError(ascii(target)[:300])
    made = dict(headers)
    found = re.search(r"Signature=(\w+)", {k.lower(): v for k, v in made.items()}["authorization"])
    assert found is not None
    agree(found[1], _botocores(path + ("?" + encode_query(query) if query else "")), "signature")


def _botocores(target: str) -> str:
    request = AWSRequest(method="GET", url=f"https://s3.example{target}", data=b"")
    signer = botocore.auth.S3SigV4Auth(_BOTO, "s3", "us-east-1")
    naive = _WHEN.replace(tzinfo=None)
    with (
        mock.patch.object(signer, "payload", return_value=EMPTY_HASH),
        mock.patch("botocore.auth.get_current_datetime", return_value=naive, create=True),
    ):
        signer.add_auth(request)
    return str(request.headers["Authorization"]).rpartition("=")[2]


_SEEDS: Final = (
    b"a//b", b"/a", b"./a/../b", "ü/💩 +%2B".encode(), b"k\0list-type\x002\0prefix\0a b&c=d",
    b"k\0a\0\0a\0b\0A\0c", b"x\0uploads\0", b"~-._!*'()\0~\0*'()", b"a?b#c;d:e@f,$\0?\0#",
)  # fmt: skip

TARGETS: Final = {
    "signatures": Target(
        name="signatures", probe=_signature, allowed=(KeyNotAllowed,), seeds=_SEEDS, longest=2048,
        words=(b"\0", b"//", b"/../", b"%2F", b"+", b"&", b"="), memory=128,
    )
}  # fmt: skip
