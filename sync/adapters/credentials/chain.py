"""Keys as every AWS program finds them: environment, profile, container, the machine's role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sync.adapters.credentials.quiet import quiet_libraries
from sync.errors import AccessDenied, ConfigError, SyncError, TransientStoreError
from sync.ports import Credentials

if TYPE_CHECKING:
    from botocore.credentials import Credentials as BotoCredentials
    from botocore.session import Session


def read_chain(profile: str, environ: Mapping[str, str]) -> dict[str, Credentials]:
    """Keys and region of the profile, or of boto3's default chain. Blocks.

    Each call asks anew from the start, so changed files and rotated roles are seen.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  only when used
    from botocore.session import Session  # noqa: PLC0415

    quiet_libraries()
    session = Session(profile=profile or None)
    try:
        found = session.get_credentials()
        if found is None:
            raise ConfigError(_nothing(profile))
        return {"": _freeze(found, region_of(session, environ) or _machine_region(session, found))}
    except (BotoCoreError, ClientError) as error:
        failure = translate(error, f"AWS keys ({profile or 'default chain'})")
    raise failure


def region_of(session: Session, environ: Mapping[str, str]) -> str:
    """The region that the environment or the profile names, or ""."""
    named = session.get_config_variable("region")
    return str(named or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "")


def from_variables(prefix: str, environ: Mapping[str, str]) -> dict[str, Credentials]:
    """Keys of ``SRC_AWS_…`` or ``DEST_AWS_…``."""
    values = {
        name: environ.get(f"{prefix}AWS_{name}", "").strip()
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION")
    }
    missing = [n for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY") if not values[n]]
    if missing:
        names = (f"environment variable {prefix}AWS_{n} is missing or empty" for n in missing)
        raise ConfigError(*names)
    common = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    key = Credentials(
        values["ACCESS_KEY_ID"],
        values["SECRET_ACCESS_KEY"],
        token=values["SESSION_TOKEN"],
        region=values["REGION"] or common,
    )
    return {"": key}


def translate(error: Exception, what: str) -> SyncError:
    """A library's error as one of ours. Its own text is left out: it may quote what it read."""
    from botocore import exceptions as boto  # noqa: PLC0415

    if isinstance(error, boto.ProfileNotFound):
        return ConfigError(f"{what}: there is no such profile in ~/.aws/config or credentials")
    if isinstance(error, boto.PartialCredentialsError):
        return ConfigError(f"{what}: only one half of the pair is given")
    if isinstance(error, boto.NoRegionError):
        return ConfigError(f"{what}: no region; set AWS_REGION or a region in the profile")
    if isinstance(error, boto.HTTPClientError | boto.MetadataRetrievalError):
        return TransientStoreError(f"{what}: no answer ({type(error).__name__})")
    if isinstance(error, boto.ClientError):
        return _refusal(error, what)
    return ConfigError(f"{what}: cannot be read ({type(error).__name__})")


def _refusal(error: Exception, what: str) -> SyncError:
    response = getattr(error, "response", {})
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    throttled = "Throttl" in code or "TooManyRequests" in code
    if status >= 500 or throttled:  # noqa: PLR2004  HTTP's server errors
        return TransientStoreError(f"{what}: {code}", status=status, code=code)
    return AccessDenied(f"{what}: refused ({code})", status=status, code=code)


def _freeze(found: BotoCredentials, region: str) -> Credentials:
    frozen = found.get_frozen_credentials()
    # Only this private attribute tells; without it keys are re-read when a store refuses them.
    expiry = getattr(found, "_expiry_time", None)
    return Credentials(
        str(frozen.access_key),
        str(frozen.secret_key),
        token=frozen.token or "",
        region=region,
        expires_at=expiry.timestamp() if expiry else None,
    )


def _machine_region(session: Session, found: BotoCredentials) -> str:
    """Where the machine itself runs, asked only where its role gave the keys."""
    if found.method != "iam-role":
        return ""
    from botocore.utils import InstanceMetadataRegionFetcher  # noqa: PLC0415  only when used

    names = ("ec2_metadata_service_endpoint", "ec2_metadata_service_endpoint_mode")
    where: dict[str, Any] = {name: session.get_config_variable(name) for name in names}
    where["ec2_metadata_v1_disabled"] = True
    fetcher = InstanceMetadataRegionFetcher(timeout=2, num_attempts=2, config=where)
    return str(fetcher.retrieve_region() or "")


def _nothing(profile: str) -> str:
    if profile:
        return f"AWS profile {profile}: holds no keys"
    return (
        "no AWS keys found: give the machine a role, set AWS_PROFILE or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or name a profile with SrcProfileName or DestProfileName"
    )
