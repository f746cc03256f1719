"""What a stand-in is started with: identities, buckets, limits."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from sync.errors import ConfigError

EVERY_BUCKET: Final = "*"


class Permission(StrEnum):
    """What an identity may do in a bucket. Replacing an object needs WRITE and DELETE.

    Source: Cloud Storage documentation, "IAM permissions for XML requests".
    """

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    LIST = "list"
    ADMIN = "admin"


EVERYTHING: Final = frozenset(Permission)


@dataclass(frozen=True, slots=True)
class HmacIdentity:
    """An HMAC key and what it may do: permissions by bucket name, ``*`` for every bucket."""

    access_id: str
    secret: str = field(repr=False)
    grants: Mapping[str, frozenset[Permission]] = field(
        default_factory=lambda: {EVERY_BUCKET: EVERYTHING}
    )

    def allows(self, bucket: str, permission: Permission) -> bool:
        """True where the identity holds the permission on that bucket."""
        granted = self.grants.get(bucket, frozenset()) | self.grants.get(EVERY_BUCKET, frozenset())
        return permission in granted

    @classmethod
    def made_up(cls) -> Self:
        """A new identity with every permission, in the lengths Cloud Storage uses."""
        return cls("GOOG" + secrets.token_hex(28).upper()[:57], secrets.token_urlsafe(30)[:40])


@dataclass(frozen=True, slots=True)
class Options:
    """How a stand-in behaves.

    ``writes_per_object_per_second`` 0 means no limit; ``retry_after`` (seconds) goes with its
    429. ``memory_limit``: bytes of one object held in memory, larger ones go to files in
    ``data_dir`` (a temporary folder where "" is given). ``page_size`` caps listings below 1000.
    ``domains``: a Host of ``bucket.<domain>`` names a bucket. With ``cert_file`` and
    ``key_file`` it speaks TLS.
    """

    host: str = "127.0.0.1"
    port: int = 0
    identities: tuple[HmacIdentity, ...] = ()
    buckets: tuple[str, ...] = ()
    versioned_buckets: tuple[str, ...] = ()
    data_dir: str = ""
    cert_file: str = ""
    key_file: str = field(default="", repr=False)
    domains: tuple[str, ...] = ("localhost", "storage.googleapis.com")
    writes_per_object_per_second: float = 0.0
    retry_after: int | None = None
    memory_limit: int = 1024 * 1024
    page_size: int = 1000
    control_token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON values, secrets included: for the pipe to another process."""
        plain = asdict(self)
        plain["identities"] = [_identity_to_json(identity) for identity in self.identities]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The reverse of `to_json`; ConfigError for unknown names or wrong kinds."""
        unknown = set(plain) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError(f"unknown options: {', '.join(sorted(unknown))}")
        values = dict(plain)
        values["identities"] = identities_from_json(plain.get("identities", ()))
        for name in ("buckets", "versioned_buckets", "domains"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)


def _identity_to_json(identity: HmacIdentity) -> dict[str, Any]:
    grants = {bucket: sorted(held) for bucket, held in identity.grants.items()}
    return {"access_id": identity.access_id, "secret": identity.secret, "grants": grants}


def identities_from_json(entries: Iterable[Mapping[str, Any]]) -> tuple[HmacIdentity, ...]:
    """Identities from ``[{"access_id", "secret", "grants": {bucket: [permission]}}]``.

    Without ``grants`` an identity may do everything. ConfigError where an entry is not one.
    """
    try:
        return tuple(_identity(entry) for entry in entries)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"an identity needs access_id, secret and, if any, grants: {error!r}"
        ) from None


def _identity(entry: Mapping[str, Any]) -> HmacIdentity:
    grants = entry.get("grants", {EVERY_BUCKET: list(Permission)})
    held = {bucket: frozenset(map(Permission, names)) for bucket, names in grants.items()}
    return HmacIdentity(str(entry["access_id"]), str(entry["secret"]), held)
