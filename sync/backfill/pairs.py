"""Which buckets are to be compared: a file, an SSM parameter, or a Google secret."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sync.adapters.credentials.google_secret import fetch_secret
from sync.adapters.credentials.ssm import fetch_parameter
from sync.config import Settings
from sync.config.bucket_list import parse_bucket_list
from sync.errors import ConfigError
from sync.model import BucketPair

_SETTING: Final = "ssm_parameter_bucket"


async def bucket_pairs(
    settings: Settings, environ: Mapping[str, str], named: Path | None = None
) -> list[BucketPair]:
    """The pairs of the file ``named``, else of the file that BucketList names if it is there,
    else of ``ssm_parameter_bucket``: projects/... is a Google secret, else an SSM parameter.
    """
    path = named or settings.bucket_list
    if path is not None and (named is not None or path.is_file()):
        return parse_bucket_list(_read(path), str(path))
    name = settings.bucket_list_parameter
    if not name:
        raise ConfigError(
            "there is no list of buckets: write jobsender_bucket_list.txt (JSON), set "
            "ssm_parameter_bucket, or name one pair with --source-bucket and --destination-bucket"
        )
    text = await asyncio.to_thread(_fetch, name, settings, environ)
    return parse_bucket_list(text, name)


def _fetch(name: str, settings: Settings, environ: Mapping[str, str]) -> str:
    if name.startswith("projects/"):
        version = name if "/versions/" in name else f"{name}/versions/latest"
        data = fetch_secret(version, environ, setting=_SETTING)
        return data.decode("utf-8-sig", "replace")
    return fetch_parameter(
        name,
        profile=settings.src_profile,
        environ=environ,
        ca_bundle=settings.ca_bundle,
        setting=_SETTING,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8: {error}") from None
