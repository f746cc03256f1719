"""TLS as 3GSync speaks it: 1.2 at least, names verified, an own bundle of authorities possible."""

from __future__ import annotations

import ssl
from pathlib import Path

from sync.errors import ConfigError


def tls_context(ca_bundle: str = "") -> ssl.SSLContext:
    """A verifying client context.

    ``ca_bundle`` is a PEM file or a folder of hashed certificates that is trusted instead of
    the system's authorities; "" means the system's. ConfigError where it cannot be used.
    """
    context = ssl.create_default_context() if not ca_bundle else _with_bundle(ca_bundle)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # no write may have to wait for a read
    context.set_alpn_protocols(["http/1.1"])
    return context


def _with_bundle(path: str) -> ssl.SSLContext:
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the CA bundle {path!r} cannot be used ({error.strerror or error}): "
            "name a readable file with PEM certificates"
        ) from error


def explain(error: ssl.SSLError, host: str) -> str:
    """What to tell the user of a failed handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {host} was not accepted ({error.verify_message}); if a private "
            "authority signed it, name that authority's PEM file in AWS_CA_BUNDLE or SSL_CERT_FILE"
        )
    return f"no TLS with {host} ({error.reason or error})"
