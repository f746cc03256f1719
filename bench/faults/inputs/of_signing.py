"""Signatures, against botocore's, for any key and query."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.utils import percent_encode

from faults.inputs.target import Target, agree
from sync.errors import KeyNotAllowed
from sync.ports import Credentials
from sync.wire.sigv4 import EMPTY_HASH, Signer, encode_key

_KEYS: Final = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
_BOTO: Final = BotoCredentials(_KEYS.access_key, _KEYS.secret_key)
_WHEN: Final = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
_SIGNER: Final = Signer(service="s3")
_SIGNED: Final = re.compile(r".*Signature=(\w+)", re.DOTALL).match


def _signature(data: bytes) -> None:
    """The key, then the query's names and values, one a NUL apart."""
    key, *texts = data.decode("utf-8", "replace").split("\0")
    query = list(zip(texts[::2], texts[1::2], strict=False))
    path = "/bucket/" + encode_key(key)
    # What goes out is what botocore, given the key and the query as they are, would send.
    agree(path, "/bucket/" + percent_encode(key, safe="/~"), "path")
    target, headers = _SIGNER.sign(
        method="GET",
        host="s3.example",
        path=path,
        query=query,
        headers=(),
        payload_hash=EMPTY_HASH,
        credentials=_KEYS,
        region="us-east-1",
        now=_WHEN.timestamp(),
    )
    found = _SIGNED({name.lower(): value for name, value in headers}["authorization"])
    assert found is not None
    sent, signature = _botocores(path, query)
    agree(target, path + (f"?{sent}" if query else ""), "target")
    agree(found[1], signature, "signature")


def _botocores(path: str, query: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The canonical query, and the signature."""
    request = AWSRequest(method="GET", url=f"https://s3.example{path}", data=b"")
    request.params = list(query)  # type: ignore[assignment]  # pairs may come twice
    signer = botocore.auth.S3SigV4Auth(_BOTO, "s3", "us-east-1")
    naive = _WHEN.replace(tzinfo=None)
    with (
        mock.patch.object(signer, "payload", return_value=EMPTY_HASH),
        mock.patch("botocore.auth.get_current_datetime", return_value=naive, create=True),
    ):
        signer.add_auth(request)
    signature = str(request.headers["Authorization"]).rpartition("=")[2]
    return str(signer.canonical_query_string(request)), signature


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
