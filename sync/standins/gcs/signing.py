"""Signature V4 verified the way Cloud Storage does, for AWS4- and GOOG4-HMAC-SHA256.

Written apart from the project's own signer, so that no error of one can hide in the other.
Source: Cloud Storage documentation, "Signatures" and "Canonical requests".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from sync.standins.gcs.calls import Call, split_target
from sync.standins.gcs.options import HmacIdentity
from sync.standins.gcs.refusals import Refusal

MAX_SKEW: Final = 15 * 60.0
MAX_EXPIRES: Final = 604_800
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_SCOPE_FIELDS: Final = 5
_AUTHORIZATION: Final = re.compile(
    r"(AWS4|GOOG4)-HMAC-SHA256\s+Credential=([^,\s]+)\s*,\s*"
    r"SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{64})"
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SPACES: Final = re.compile(r" +")
_FAMILY: Final = {"AWS4": "amz", "GOOG4": "goog"}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its own signature."""

    scheme: str
    access_id: str
    scope: tuple[str, ...]
    signed: tuple[str, ...]
    signature: str
    stamp: str
    payload: str
    expires: int | None = None

    @property
    def family(self) -> str:
        """Prefix of the extension headers that go with the scheme."""
        return _FAMILY[self.scheme]


def authenticate(call: Call, identities: Mapping[str, HmacIdentity], *, now: float) -> None:
    """Set the call's family, identity and payload hash; Refusal where the signature is wrong.

    A call without any signature stays anonymous.
    """
    _refuse_mixture(call)
    claim = _claim(call)
    if claim is None:
        return
    call.family, call.payload = claim.family, claim.payload
    identity = identities.get(claim.access_id)
    _check_time(claim, now)
    if identity is None:
        raise Refusal("InvalidAccessKeyId", "Check the access id of your HMAC key.")
    _check_scope(claim)
    _check_signed_headers(call, claim)
    _check_signature(call, claim, identity)
    _check_payload(claim)
    call.identity = identity


def _refuse_mixture(call: Call) -> None:
    names = [name for name, _ in call.request.headers]
    names += [name.lower() for name, _ in call.query]
    families = {name[:6] for name in names if name.startswith(("x-amz-", "x-goog"))}
    if len(families) > 1:
        raise Refusal("ExcessHeaderValues")


def _claim(call: Call) -> Claim | None:
    header = call.request.header("authorization")
    if header:
        return _from_header(call, header)
    query = {name.lower(): value for name, value in call.query}
    for family in ("amz", "goog"):
        if f"x-{family}-signature" in query:
            return _from_query(call, query, family)
    return None


def _from_header(call: Call, header: str) -> Claim:
    match = _AUTHORIZATION.fullmatch(header.strip())
    if not match:
        raise Refusal("InvalidArgument", "The Authorization header is not one of HMAC V4.")
    scheme, credential, signed, signature = match.groups()
    family = _FAMILY[scheme]
    payload = call.request.header(f"x-{family}-content-sha256")
    if not payload and family == "amz":
        raise Refusal("MissingSecurityHeader", "x-amz-content-sha256")
    stamp = call.request.header(f"x-{family}-date")
    if not stamp:
        raise Refusal("MissingSecurityHeader", f"x-{family}-date")
    access_id, *scope = credential.split("/")
    names = tuple(signed.split(";"))
    return Claim(scheme, access_id, tuple(scope), names, signature, stamp, payload or UNSIGNED)


def _from_query(call: Call, query: Mapping[str, str], family: str) -> Claim:
    scheme = query.get(f"x-{family}-algorithm", "").removesuffix("-HMAC-SHA256")
    if _FAMILY.get(scheme) != family:
        raise Refusal("InvalidArgument", f"x-{family}-algorithm")
    expires = query.get(f"x-{family}-expires", "")
    if not expires.isdecimal() or not 1 <= int(expires) <= MAX_EXPIRES:
        raise Refusal("InvalidArgument", f"x-{family}-expires is 1 to {MAX_EXPIRES} seconds")
    access_id, *scope = query.get(f"x-{family}-credential", "").split("/")
    payload = call.request.header(f"x-{family}-content-sha256") or query.get(
        f"x-{family}-content-sha256", UNSIGNED
    )
    return Claim(
        scheme,
        access_id,
        tuple(scope),
        tuple(query.get(f"x-{family}-signedheaders", "").split(";")),
        query[f"x-{family}-signature"],
        query.get(f"x-{family}-date", ""),
        payload,
        int(expires),
    )


def _check_time(claim: Claim, now: float) -> None:
    try:
        then = datetime.strptime(claim.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refusal("InvalidArgument", f"x-{claim.family}-date {claim.stamp!r}") from None
    if claim.expires is None:
        if abs(now - then) > MAX_SKEW:
            raise Refusal("RequestTimeTooSkewed", f"request time {claim.stamp}")
    elif now > then + claim.expires:
        raise Refusal("ExpiredToken", f"signed at {claim.stamp} for {claim.expires} s")
    elif then > now + MAX_SKEW:
        raise Refusal("RequestTimeTooSkewed", f"request time {claim.stamp}")


def _check_scope(claim: Claim) -> None:
    ending = "aws4_request" if claim.scheme == "AWS4" else "goog4_request"
    services = {"s3", "storage"} if claim.scheme == "AWS4" else {"storage"}
    right = (
        len(claim.scope) == _SCOPE_FIELDS - 1
        and claim.scope[0] == claim.stamp[:8]
        and claim.scope[2] in services
        and claim.scope[3] == ending
    )
    if not right:
        raise Refusal("InvalidArgument", f"credential scope {'/'.join(claim.scope)!r}")


def _check_signed_headers(call: Call, claim: Claim) -> None:
    if list(claim.signed) != sorted(set(claim.signed)):
        raise Refusal("InvalidArgument", "SignedHeaders are not sorted")
    for name in claim.signed:
        if not call.request.has(name):
            _malformed(name, "Header was included in signedheaders, but not in the request.")
    for name, _ in call.request.headers:
        needed = name == "host" or name.startswith(f"x-{claim.family}-")
        if needed and name not in claim.signed:
            _malformed(name, "Header was included in the request, but not in signedheaders.")


def _malformed(name: str, details: str) -> None:
    raise Refusal("MalformedSecurityHeader", details, extra=(("ParameterName", name),))


def _check_payload(claim: Claim) -> None:
    if claim.payload != UNSIGNED and not _SHA256.fullmatch(claim.payload):
        raise Refusal(
            "SignatureDoesNotMatch",
            f"{claim.payload} is not supported: send the body plain, not as aws-chunked.",
            message="Invalid argument.",
        )


def _check_signature(call: Call, claim: Claim, identity: HmacIdentity) -> None:
    canonical = _canonical_request(call, claim)
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    scope = "/".join(claim.scope)
    to_sign = "\n".join((f"{claim.scheme}-HMAC-SHA256", claim.stamp, scope, digest))
    key = (claim.scheme + identity.secret).encode()
    for piece in (*claim.scope, to_sign):
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(key.hex(), claim.signature):
        raise Refusal(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your secret and signing method.",
            extra=(("StringToSign", to_sign), ("CanonicalRequest", canonical)),
        )


def _canonical_request(call: Call, claim: Claim) -> str:
    raw_path, raw_query = split_target(call.request.target)
    headers = "".join(f"{name}:{_header(call, name)}\n" for name in claim.signed)
    return "\n".join(
        (
            call.request.method,
            quote(unquote_to_bytes(raw_path), safe="/~"),
            _canonical_query(raw_query),
            headers,
            ";".join(claim.signed),
            claim.payload,
        )
    )


def _canonical_query(raw: str) -> str:
    pairs = [piece.partition("=") for piece in raw.split("&") if piece]
    coded = [(_again(name), _again(value)) for name, _, value in pairs]
    kept = [pair for pair in coded if not pair[0].lower().endswith("-signature")]
    return "&".join(f"{name}={value}" for name, value in sorted(kept))


def _again(raw: str) -> str:
    return quote(unquote_to_bytes(raw), safe="~")


def _header(call: Call, name: str) -> str:
    values = [value for key, value in call.request.headers if key == name]
    if name == "accept-encoding":
        # Google's front end rewrites this header before the signature is looked at.
        values.append("gzip(gfe)")
    text = ",".join(_SPACES.sub(" ", value.strip()) for value in values)
    return text.encode("latin-1").decode("utf-8", "surrogateescape")
