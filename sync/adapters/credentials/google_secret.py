"""Keys stored in Google Secret Manager, read with the machine's service account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sync.adapters.credentials.document import two_sides
from sync.adapters.credentials.quiet import quiet_libraries
from sync.checksums import Digester
from sync.errors import AccessDenied, ConfigError, IntegrityError, SyncError, TransientStoreError
from sync.ports import Credentials

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

EMULATOR: Final = "SECRETMANAGER_EMULATOR_HOST"
_TIMEOUT: Final = 20.0


def read_google_secret(name: str, environ: Mapping[str, str]) -> dict[str, Credentials]:
    """Both pairs of the secret version ``projects/P/secrets/S/versions/V``. Blocks.

    ConfigError where it is missing, disabled or malformed, AccessDenied where a permission is
    missing. With ``SECRETMANAGER_EMULATOR_HOST`` set a stand-in is asked, without TLS and keys.
    """
    return two_sides(fetch_secret(name, environ), f"secret {name}")


def fetch_secret(
    name: str, environ: Mapping[str, str], *, setting: str = "ssm_parameter_credentials"
) -> bytes:
    """The secret version's content. ``setting`` is what an error asks to mend."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415  only when used
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.protobuf.json_format import Error as NotTheAnswer  # noqa: PLC0415

    quiet_libraries()
    try:
        with _client(name, environ) as client:
            payload = client.access_secret_version(
                request={"name": name}, timeout=_TIMEOUT, retry=_retry()
            ).payload
            return _verified(payload, name)
    except (GoogleAPIError, GoogleAuthError, NotTheAnswer, OSError) as error:
        failure = _explain(error, name, setting)
    raise failure


def _client(name: str, environ: Mapping[str, str]) -> SecretManagerServiceClient:
    """A client over REST: gRPC's threads do not survive a fork."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient  # noqa: PLC0415

    if stand_in := environ.get(EMULATOR):
        return SecretManagerServiceClient(
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            transport="rest",
            client_options={"api_endpoint": stand_in if "//" in stand_in else f"http://{stand_in}"},
        )
    region = re.match(r"projects/[^/]+/locations/([^/]+)/", name)
    host = f"secretmanager.{region[1]}.rep.googleapis.com" if region else None
    return SecretManagerServiceClient(
        transport="rest", client_options={"api_endpoint": host} if host else None
    )


def _retry() -> Any:
    from google.api_core import exceptions, retry  # noqa: PLC0415

    passing = (
        exceptions.ServiceUnavailable,
        exceptions.InternalServerError,
        exceptions.TooManyRequests,
        exceptions.GatewayTimeout,
    )
    return retry.Retry(
        predicate=retry.if_exception_type(*passing), initial=0.2, maximum=3.0, timeout=_TIMEOUT
    )


def _verified(payload: Any, name: str) -> bytes:
    data = bytes(payload.data)
    digester = Digester()
    digester.update(data)
    if "data_crc32c" in payload and payload.data_crc32c != digester.checksums().crc32c:
        raise IntegrityError(f"secret {name}: came damaged (CRC32C differs)")
    return data


def _explain(error: Exception, name: str, setting: str) -> SyncError:
    from google.api_core import exceptions as api  # noqa: PLC0415
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError  # noqa: PLC0415

    what, kind = f"secret {name}", type(error).__name__
    for known, mend in {
        api.NotFound: f"not found; mend {setting}, or create the secret and a version of it",
        api.BadRequest: "Google refuses to read this version: it is disabled or destroyed, or the "
        f"name is wrong; enable it, add a version, or mend {setting}",
        DefaultCredentialsError: "this machine has no Google service account; run on Google Cloud "
        "or set GOOGLE_APPLICATION_CREDENTIALS to a key file",
    }.items():
        if isinstance(error, known):
            return ConfigError(f"{what}: {mend}")
    if isinstance(error, api.Forbidden):
        return AccessDenied(
            f"{what}: refused; the service account needs the role Secret Manager Secret Accessor "
            "(secretmanager.versions.access) on it, the machine the scope cloud-platform, and "
            "the project the Secret Manager API enabled",
            operation="AccessSecretVersion",
            code=str(error.reason or "PERMISSION_DENIED"),
        )
    if isinstance(error, GoogleAuthError | api.Unauthorized):
        text = f"{what}: Google did not accept the machine's service account ({kind})"
        passing = getattr(error, "retryable", False)
        return TransientStoreError(text) if passing else AccessDenied(text)
    return TransientStoreError(f"{what}: no answer from Google Secret Manager ({kind})")
