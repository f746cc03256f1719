"""One authority for all fault proxies of a process, since a worker is told of one bundle."""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
from functools import cache
from pathlib import Path

import trustme


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def authority_file() -> Path:
    """The authority's PEM, removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="3gsync-faults-ca-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "authority.pem"
    _authority().cert_pem.write_to_path(str(path))
    return path


def server_context(name: str) -> ssl.SSLContext:
    """A server's context with a certificate for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(name).configure_cert(context)
    return context
