"""Where an AWS service answers, resolved as users of AWS's own programs expect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sync.adapters.credentials.chain import region_of, translate
from sync.adapters.credentials.quiet import quiet_libraries
from sync.errors import ConfigError


async def aws_endpoint(
    service: str, region: str, profile: str, environ: Mapping[str, str]
) -> tuple[str, str]:
    """URL and region of ``sqs``, ``dynamodb``, ``ssm`` or ``s3``.

    ``AWS_ENDPOINT_URL_<SERVICE>`` and ``AWS_ENDPOINT_URL`` come first, then the profile's
    ``endpoint_url`` and ``services``, then the region's own, in any partition. An empty
    ``region`` means the environment's or the profile's. ConfigError where there is none.
    """
    return await asyncio.to_thread(_resolve, service, region, profile, environ)


def _resolve(
    service: str, region: str, profile: str, environ: Mapping[str, str]
) -> tuple[str, str]:
    if region and (url := _override(service, environ)):
        return url, region  # importing botocore would cost 0.3 s and 40 MB
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  only when used
    from botocore.session import Session  # noqa: PLC0415

    quiet_libraries()
    session = Session(profile=profile or None)
    what = f"AWS service {service}"
    try:
        named = region or region_of(session, environ)
        if not named:
            raise ConfigError(f"{what}: no region; set AWS_REGION or a region in the profile")
        # Given keys keep the client from searching for real ones; it never sends a request.
        client = session.create_client(
            service,
            region_name=named,
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106  # nosec B106
        )
    except BotoCoreError as error:
        failure = translate(error, what)
    else:
        return _override(service, environ) or str(client.meta.endpoint_url), named
    raise failure


def _override(service: str, environ: Mapping[str, str]) -> str:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ""
    specific = environ.get(f"AWS_ENDPOINT_URL_{service.upper()}")
    return specific or environ.get("AWS_ENDPOINT_URL") or ""
