"""Keys stored as an SSM parameter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sync.adapters.credentials.chain import read_chain, region_of, translate
from sync.adapters.credentials.document import one_side
from sync.adapters.credentials.quiet import quiet_libraries
from sync.errors import AccessDenied, ConfigError, SyncError
from sync.ports import Credentials


def read_parameter(
    name: str, *, profile: str, environ: Mapping[str, str], ca_bundle: Path | None = None
) -> dict[str, Credentials]:
    """The pair that the parameter holds, read with the machine's own keys. Blocks.

    ConfigError where there is none or it is malformed, AccessDenied where a permission is
    missing. ``AWS_ENDPOINT_URL_SSM`` is honoured.
    """
    text = fetch_parameter(name, profile=profile, environ=environ, ca_bundle=ca_bundle)
    return one_side(text.encode(), f"SSM parameter {name}")


def fetch_parameter(
    name: str,
    *,
    profile: str,
    environ: Mapping[str, str],
    ca_bundle: Path | None = None,
    setting: str = "ssm_parameter_credentials",
) -> str:
    """The parameter's text, decrypted. ``setting`` is what an error asks to mend."""
    from botocore.config import Config  # noqa: PLC0415  only when used
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    quiet_libraries()
    try:
        session = Session(profile=profile or None)
        region = region_of(session, environ) or read_chain(profile, environ)[""].region
        client: Any = session.create_client(
            "ssm",
            region_name=region or None,
            verify=str(ca_bundle) if ca_bundle else None,
            config=Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard"}),
        )
        reply = client.get_parameter(Name=name, WithDecryption=True)
        return str(reply["Parameter"]["Value"])
    except (BotoCoreError, ClientError) as error:
        failure = _explain(error, name, setting)
    raise failure


def _explain(error: Exception, name: str, setting: str) -> SyncError:
    what = f"SSM parameter {name}"
    response = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    if code in {"ParameterNotFound", "ParameterVersionNotFound"}:
        return ConfigError(
            f"{what}: there is none in this region and account; create it as a SecureString or "
            f"mend {setting}"
        )
    if code in {"AccessDeniedException", "InvalidKeyId"}:
        return AccessDenied(
            f"{what}: refused ({code}); the machine's role needs ssm:GetParameter on it, and "
            "kms:Decrypt on the key it is encrypted with",
            operation="GetParameter",
            code=code,
        )
    return translate(error, what)
