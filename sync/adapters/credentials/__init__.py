"""Where the keys come from: Google Secret Manager, SSM, profiles, roles, the environment.

``providers`` picks them for a JobType. The cloud libraries are imported when keys are first
read, and only those that are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from sync.adapters.credentials.cache import KeyCache, SideProvider
from sync.adapters.credentials.chain import from_variables, read_chain
from sync.adapters.credentials.endpoint import aws_endpoint
from sync.adapters.credentials.google_secret import read_google_secret
from sync.adapters.credentials.ssm import read_parameter
from sync.config import JobType, Settings
from sync.config.settings import DEFAULT_PARAMETER
from sync.errors import ConfigError
from sync.ports import CredentialProvider

__all__ = ["KeyCache", "Providers", "SideProvider", "aws_endpoint", "providers"]


@dataclass(frozen=True, slots=True)
class Providers:
    """Keys for the two stores, the queue and the table. Some may be the same object."""

    source: CredentialProvider
    destination: CredentialProvider
    queue: CredentialProvider
    table: CredentialProvider


def providers(settings: Settings, environ: Mapping[str, str]) -> Providers:
    """The providers that JobType asks for; nothing is read yet.

    boto3's chain looks into the process's own environment. ConfigError where the name of the
    secret is missing.
    """
    if settings.job_type is JobType.ENV:
        source = _from_environment(settings.src_profile, "SRC_", environ)
        destination = _from_environment(settings.dest_profile, "DEST_", environ)
        return Providers(source, destination, source, source)
    if settings.job_type is JobType.PUT:
        role = _chain(settings.src_profile, environ)
        return Providers(role, _parameter(settings, environ), role, role)
    return _get(settings, environ)


def _get(settings: Settings, environ: Mapping[str, str]) -> Providers:
    name = settings.credentials_name
    if not name:
        raise ConfigError(*settings.require_worker())
    if not name.startswith("projects/"):  # the cluster version's GET: the role is the receiver's
        role = _chain("", environ)
        return Providers(_parameter(settings, environ), role, role, role)
    secret = KeyCache(partial(read_google_secret, name, environ), where=name)
    source = SideProvider(secret, "source")
    return Providers(source, SideProvider(secret, "destination"), source, source)


def _chain(profile: str, environ: Mapping[str, str]) -> CredentialProvider:
    where = f"AWS profile {profile}" if profile else "the machine's AWS role or environment"
    return SideProvider(KeyCache(partial(read_chain, profile, environ), where=where), "")


def _from_environment(profile: str, prefix: str, environ: Mapping[str, str]) -> CredentialProvider:
    if profile or f"{prefix}AWS_ACCESS_KEY_ID" not in environ:
        return _chain(profile, environ)
    where = f"the environment ({prefix}AWS_ACCESS_KEY_ID)"
    return SideProvider(KeyCache(partial(from_variables, prefix, environ), where=where), "")


def _parameter(settings: Settings, environ: Mapping[str, str]) -> CredentialProvider:
    name = settings.credentials_name or DEFAULT_PARAMETER
    profile = settings.src_profile if settings.job_type is JobType.PUT else ""
    read = partial(
        read_parameter, name, profile=profile, environ=environ, ca_bundle=settings.ca_bundle
    )
    return SideProvider(KeyCache(read, where=f"SSM parameter {name}"), "")
