"""Where a bucket is served: host, path prefix and signing region. Pure.

Only for AWS is the bucket part of the host name, and only where its name is a DNS label: TLS
certificates cover one label. A region redirect is followed only by building the host from the
configured endpoint's own pattern, so no key ever goes to a host that a reply named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sync.adapters.dialects import S3Dialect
from sync.errors import ConfigError
from sync.wire.request import Origin

_DNS_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_REGION: Final = re.compile(r"[a-z]{2,}(?:-[a-z0-9]+){2,4}")
_AWS_HOST: Final = re.compile(
    r"s3(?P<fips>-fips)?(?P<dual>[.]dualstack)?(?:[.-](?P<region>(?!accelerate)[a-z0-9-]+))?"
    r"[.]amazonaws[.]com(?:[.]cn)?"
)
_ACCELERATE: Final = re.compile(r"s3-accelerate(?:[.]dualstack)?[.]amazonaws[.]com")
_ADDRESSING: Final = frozenset({"auto", "path", "virtual"})


@dataclass(frozen=True, slots=True)
class Place:
    """How one bucket is reached. ``prefix`` is the path before the key, ending in ``/``;
    ``authority`` the Host header's value.
    """

    origin: Origin
    prefix: str
    region: str
    authority: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A configured endpoint. ``region`` is "" where none is known."""

    origin: Origin
    dialect: S3Dialect
    region: str
    addressing: str

    def place(self, bucket: str, *, region: str = "", encoded: str) -> Place:
        """Where ``bucket`` is, in ``region`` or else the configured one."""
        known = region or self.region
        origin = self._regional(known) or self.origin
        signing = known or self.dialect.default_region
        if self._virtual(bucket):
            host = f"{bucket}.{origin.host}"
            own = Origin(origin.scheme, host, origin.port)
            return Place(own, "/", signing, own.authority)
        return Place(origin, f"/{encoded}/", signing, origin.authority)

    def can_move(self, region: str) -> bool:
        """True where a host for ``region`` can be built from this endpoint's own pattern."""
        return self._regional(region) is not None

    def _regional(self, region: str) -> Origin | None:
        match = _AWS_HOST.fullmatch(self.origin.host) if self.dialect.regional_hosts else None
        if not match or not _REGION.fullmatch(region):
            return None
        suffix = ".cn" if region.startswith("cn-") else ""
        host = f"s3{match['fips'] or ''}{match['dual'] or ''}.{region}.amazonaws.com{suffix}"
        return Origin(self.origin.scheme, host, self.origin.port)

    def _virtual(self, bucket: str) -> bool:
        if self.addressing == "auto":
            return self._bucket_hosts() and bool(_DNS_BUCKET.fullmatch(bucket))
        return self.addressing == "virtual"

    def _bucket_hosts(self) -> bool:
        host = self.origin.host
        known = _AWS_HOST.fullmatch(host) or _ACCELERATE.fullmatch(host)
        return self.dialect.regional_hosts and known is not None


def parse_endpoint(
    url: str, *, dialect: S3Dialect, region: str = "", addressing: str = "auto"
) -> Endpoint:
    """An endpoint from its URL; ConfigError where it cannot be one."""
    parts = urlsplit(url if "//" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            f"the endpoint {_shown(url)!r} is not a URL like https://s3.amazonaws.com"
        )
    if parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ConfigError(
            f"the endpoint {_shown(url)!r} must be scheme, host and port only; "
            "buckets and keys belong into their own settings"
        )
    if addressing not in _ADDRESSING:
        raise ConfigError(f"addressing {addressing!r} is none of auto, path, virtual")
    host = parts.hostname.rstrip(".")
    origin = Origin(parts.scheme, host, _port(url, parts.scheme))
    return Endpoint(origin, dialect, _own_region(host, dialect) or region, addressing)


def _shown(url: str) -> str:
    """Without what may be a password."""
    return re.sub(r"//[^/@]*@", "//…@", url)


def _port(url: str, scheme: str) -> int:
    try:
        port = urlsplit(url if "//" in url else f"https://{url}").port
    except ValueError as error:
        raise ConfigError(f"the endpoint {_shown(url)!r} has no usable port") from error
    return port or (443 if scheme == "https" else 80)


def _own_region(host: str, dialect: S3Dialect) -> str:
    match = _AWS_HOST.fullmatch(host) if dialect.regional_hosts else None
    region = match["region"] if match else None
    return region if region and _REGION.fullmatch(region) else ""
