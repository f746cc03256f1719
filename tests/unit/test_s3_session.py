"""What the adapter sends, and what it learns from refusals, against a scripted client."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from email.utils import formatdate
from typing import Any, TypeVar, cast

import pytest

from sync.adapters.dialects import AWS, GCS, GENERIC, S3Dialect
from sync.adapters.s3 import S3Store
from sync.checksums import BytesStream
from sync.errors import (
    AccessDenied,
    ClockSkewed,
    CredentialsRejected,
    IntegrityError,
    NoSuchBucket,
    NoSuchVersion,
    NotFound,
    OutcomeUnknown,
    RequestRefused,
    TransientStoreError,
)
from sync.model import ObjectHeaders, ObjectRef, Upload, UploadedPart
from sync.ports import Credentials
from sync.wire.client import Client, Reply
from sync.wire.request import Request

T = TypeVar("T")
REF = ObjectRef("bucket-1", "a b/+")
UPLOAD = Upload(REF, "u1")
NOW = 1_700_000_000.0
OLD, NEW = Credentials("AKOLD", "s1"), Credentials("AKNEW", "s2")


def refusal(status: int, code: str = "", extra: str = "", **headers: str) -> Reply:
    body = f"<Error><Code>{code}</Code>{extra}</Error>".encode() if code else b""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, lines, body)


OK = Reply(200, {"etag": '"e"', "content-length": "3"}, b"abc")


class Answer:
    """A `Response` made of a `Reply`."""

    def __init__(self, reply: Reply) -> None:
        self.status, self.headers, self._body = reply.status, reply.headers, reply.body
        length = reply.headers.get("content-length", "")
        self.content_length = int(length) if length else None

    async def chunks(self) -> AsyncIterator[memoryview]:
        for byte in self._body:
            yield memoryview(bytes([byte]))

    async def read(self, limit: int = 0) -> bytes:
        return self._body


class ScriptedClient:
    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.requests: list[Request] = []

    async def send(self, request: Request, *, limit: int = 0) -> Reply:
        self.requests.append(request)
        return self._replies.pop(0)

    async def open(self, request: Request) -> Answer:
        return Answer(await self.send(request))

    def release(self, request: Request, reply: Answer) -> None:
        pass

    @property
    def done(self) -> bool:
        return not self._replies

    def sent(self, index: int = -1) -> Mapping[str, str]:
        request = self.requests[index]
        lines = [line.split(": ", 1) for line in request.lines.splitlines()]
        return {name.lower(): value for name, value in (*lines, *request.headers)}


class Keys:
    def __init__(self, *keys: Credentials) -> None:
        self._keys = list(keys)
        self.invalidated = 0

    async def credentials(self) -> Credentials:
        return self._keys[0]

    def invalidate(self) -> None:
        self.invalidated += 1
        if len(self._keys) > 1:
            del self._keys[0]


class FixedClock:
    def time(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the adapter does not wait")


def store(
    client: ScriptedClient,
    *,
    endpoint: str = "https://host.example",
    dialect: S3Dialect = GENERIC,
    keys: Keys | None = None,
) -> S3Store:
    return S3Store(
        client=cast("Client", client),
        credentials=keys or Keys(OLD),
        endpoint=endpoint,
        dialect=dialect,
        clock=FixedClock(),
    )


def run(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


async def read(opened: S3Store, ref: ObjectRef = REF, **options: Any) -> bytes:
    async with opened.open(ref, **options) as got:
        return b"".join([bytes(chunk) async for chunk in got.body])


CALLS: dict[str, Callable[[S3Store], Coroutine[Any, Any, Any]]] = {
    "head": lambda s: s.head(REF),
    "open": read,
    "put": lambda s: s.put(REF, BytesStream(b"abc"), ObjectHeaders()),
    "delete": lambda s: s.delete(REF),
    "put_part": lambda s: s.put_part(UPLOAD, 1, BytesStream(b"abc")),
    "abort": lambda s: s.abort(UPLOAD),
}


@pytest.mark.parametrize("dialect", [AWS, GCS, GENERIC], ids=lambda d: d.name)
@pytest.mark.parametrize("name", CALLS)
def test_nothing_goes_out_that_cloud_storage_refuses(dialect: S3Dialect, name: str) -> None:
    client = ScriptedClient(OK)
    run(CALLS[name](store(client, dialect=dialect)))
    headers = client.sent()
    signed = re.search("SignedHeaders=([^,]+)", headers["authorization"])
    assert signed is not None
    for header in headers:
        assert not header.startswith(("x-amz-sdk-", "x-goog-", "x-amz-trailer", "x-amz-decoded"))
        assert header == "x-amz-checksum-mode" or not header.startswith("x-amz-checksum-")
    assert "accept-encoding" not in signed[1]
    assert "aws-chunked" not in headers.get("content-encoding", "")


def test_each_dialect_asks_reads_for_what_it_needs() -> None:
    for dialect, expected in (
        (AWS, {"x-amz-checksum-mode": "ENABLED"}),
        (GCS, {"accept-encoding": "gzip"}),
        (GENERIC, {}),
    ):
        for name in ("head", "open"):
            client = ScriptedClient(OK)
            run(CALLS[name](store(client, dialect=dialect)))
            wanted = {"x-amz-checksum-mode", "accept-encoding"}
            assert {k: v for k, v in client.sent().items() if k in wanted} == expected


def test_bodies_are_unsigned_and_documents_signed() -> None:
    client = ScriptedClient(OK, Reply(200, {}, b"<CompleteMultipartUploadResult/>"))
    opened = store(client)
    run(opened.put(REF, BytesStream(b"abc"), ObjectHeaders()))
    assert client.sent()["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    run(opened.complete(UPLOAD, [UploadedPart(1, 3, "e")]))
    assert re.fullmatch("[0-9a-f]{64}", client.sent()["x-amz-content-sha256"])
    limits = client.requests[-1].timeouts
    assert limits is not None
    assert limits.first_byte >= 600


def test_the_target_keeps_the_key() -> None:
    client = ScriptedClient(OK)
    ref = ObjectRef("bucket-1", "/a//./../b c+%2B", "v/1")
    run(store(client).head(ref))
    assert client.requests[0].target == "/bucket-1//a//./../b%20c%2B%252B?versionId=v%2F1"


def test_new_keys_are_tried_once_at_once() -> None:
    client = ScriptedClient(refusal(403, "InvalidAccessKeyId"), OK)
    keys = Keys(OLD, NEW)
    run(store(client, keys=keys).delete(REF))
    assert keys.invalidated == 1
    assert "AKOLD" in client.sent(0)["authorization"]
    assert "AKNEW" in client.sent(1)["authorization"]


class SlowClient(ScriptedClient):
    """Refuses the old keys; other tasks run while a reply is under way."""

    async def send(self, request: Request, *, limit: int = 0) -> Reply:
        self.requests.append(request)
        signed = self.sent()["authorization"]
        await asyncio.sleep(0)
        return refusal(403, "ExpiredToken") if "AKOLD" in signed else OK


def test_many_refusals_of_the_same_keys_renew_them_once() -> None:
    client, keys = SlowClient(), Keys(OLD, NEW, Credentials("AKX", "s3"))
    opened = store(client, keys=keys)

    async def both() -> None:
        await asyncio.gather(opened.delete(REF), opened.delete(REF))

    run(both())
    assert len(client.requests) == 4
    assert keys.invalidated == 1


def test_the_pin_goes_out_quoted() -> None:
    client = ScriptedClient(OK)
    run(read(store(client), if_match="e-1"))
    assert client.sent()["if-match"] == '"e-1"'


def test_the_same_keys_are_not_tried_again() -> None:
    client = ScriptedClient(refusal(403, "SignatureDoesNotMatch"))
    keys = Keys(OLD)
    with pytest.raises(CredentialsRejected):
        run(store(client, keys=keys).delete(REF))
    assert client.done
    assert keys.invalidated == 1


def test_new_keys_that_are_refused_too_end_it() -> None:
    client = ScriptedClient(refusal(400, "ExpiredToken"), refusal(403, "InvalidAccessKeyId"))
    with pytest.raises(CredentialsRejected):
        run(store(client, keys=Keys(OLD, NEW)).delete(REF))
    assert client.done


def test_a_stream_is_never_sent_twice() -> None:
    client = ScriptedClient(refusal(403, "ExpiredToken"), OK)
    keys = Keys(OLD, NEW)
    opened = store(client, keys=keys)
    with pytest.raises(CredentialsRejected):
        run(opened.put(REF, BytesStream(b"abc"), ObjectHeaders()))
    assert keys.invalidated == 1
    run(opened.put(REF, BytesStream(b"abc"), ObjectHeaders()))
    assert "AKNEW" in client.sent()["authorization"]


def test_a_read_goes_on_with_new_keys() -> None:
    client = ScriptedClient(refusal(403, "ExpiredToken"), OK)
    assert run(read(store(client, keys=Keys(OLD, NEW)))) == b"abc"


GLOBAL = "https://s3.amazonaws.com"


@pytest.mark.parametrize(
    "moved",
    [
        refusal(301, "PermanentRedirect", x_amz_bucket_region="eu-west-3"),
        refusal(301, x_amz_bucket_region="eu-west-3"),
        refusal(307, "TemporaryRedirect", x_amz_bucket_region="eu-west-3", location="http://evil/"),
        refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>"),
    ],
    ids=["301", "301-head", "307", "400"],
)
def test_a_bucket_elsewhere_is_followed_and_remembered(moved: Reply) -> None:
    client = ScriptedClient(moved, OK, OK)
    opened = store(client, endpoint=GLOBAL, dialect=AWS)
    run(opened.delete(REF))
    run(opened.delete(REF))
    hosts = [request.origin.host for request in client.requests]
    there = "bucket-1.s3.eu-west-3.amazonaws.com"
    assert hosts == ["bucket-1.s3.amazonaws.com", there, there]
    assert "/eu-west-3/s3/aws4_request" in client.sent()["authorization"]


def test_other_buckets_stay_where_they_were() -> None:
    client = ScriptedClient(refusal(301, x_amz_bucket_region="eu-west-3"), OK, OK)
    opened = store(client, endpoint=GLOBAL, dialect=AWS)
    run(opened.delete(REF))
    run(opened.delete(ObjectRef("other-1", "k")))
    assert client.requests[-1].origin.host == "other-1.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("endpoint", "dialect", "region"),
    [
        (GLOBAL, AWS, "eu-west-3.evil.example/"),
        (GLOBAL, AWS, ""),
        ("https://storage.googleapis.com", GCS, "eu-west-3"),
        ("https://host.example", GENERIC, "eu-west-3"),
    ],
)
def test_keys_never_follow_a_redirect_to_a_host_the_reply_names(
    endpoint: str, dialect: S3Dialect, region: str
) -> None:
    reply = refusal(307, location="https://evil.example/", x_amz_bucket_region=region)
    client = ScriptedClient(reply)
    with pytest.raises(RequestRefused):
        run(store(client, endpoint=endpoint, dialect=dialect).delete(REF))
    assert client.done


def test_a_store_that_wants_another_region_in_the_signature_gets_it() -> None:
    told = refusal(400, "AuthorizationHeaderMalformed", "<Region>home-1</Region>")
    client = ScriptedClient(told, OK)
    run(store(client).delete(REF))
    assert {request.origin.host for request in client.requests} == {"host.example"}
    assert "/home-1/s3/aws4_request" in client.sent()["authorization"]


def test_a_redirect_that_is_not_followed_says_what_to_set() -> None:
    told = refusal(301, "PermanentRedirect", "<Endpoint>other.example</Endpoint>")
    with pytest.raises(RequestRefused, match=r"other\.example: set the endpoint"):
        run(store(ScriptedClient(told)).delete(REF))


def test_a_stream_to_the_wrong_region_is_for_the_next_try() -> None:
    client = ScriptedClient(refusal(301, x_amz_bucket_region="eu-west-3"), OK)
    opened = store(client, endpoint=GLOBAL, dialect=AWS)
    with pytest.raises(TransientStoreError, match="eu-west-3"):
        run(opened.put(REF, BytesStream(b"abc"), ObjectHeaders()))
    run(opened.put(REF, BytesStream(b"abc"), ObjectHeaders()))
    assert client.requests[-1].origin.host == "bucket-1.s3.eu-west-3.amazonaws.com"


def test_a_wrong_clock_is_set_by_the_store() -> None:
    date = formatdate(NOW + 7200, usegmt=True)
    client = ScriptedClient(refusal(403, "RequestTimeTooSkewed", date=date), OK)
    opened = store(client)
    with pytest.raises(ClockSkewed):
        run(opened.put(REF, BytesStream(b"abc"), ObjectHeaders()))
    run(opened.put(REF, BytesStream(b"abc"), ObjectHeaders()))
    stamps = [client.sent(index)["x-amz-date"] for index in (0, 1)]
    assert stamps == ["20231114T221320Z", "20231115T001320Z"]


def test_a_wrong_clock_shows_in_a_head_without_a_body() -> None:
    client = ScriptedClient(refusal(403, date=formatdate(NOW - 7200, usegmt=True)), OK)
    assert run(store(client).head(REF)).size == 3
    assert client.sent()["x-amz-date"] == "20231114T201320Z"


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (refusal(404, "NoSuchKey"), NotFound),
        (refusal(404, "NoSuchBucket"), NoSuchBucket),
        (refusal(403, "AccessDenied"), AccessDenied),
        (refusal(403, "SignatureDoesNotMatch"), CredentialsRejected),
        (Reply(206, {"content-range": "bytes 0-0/3"}, b"a"), TransientStoreError),
        (refusal(416, "InvalidRange"), TransientStoreError),
    ],
    ids=["key", "bucket", "denied", "signature", "there", "empty"],
)
def test_a_refused_head_is_explained_by_a_get(told: Reply, kind: type[Exception]) -> None:
    client = ScriptedClient(refusal(404 if told.status == 404 else 403), told)
    with pytest.raises(kind) as error:
        run(store(client).head(REF))
    assert type(error.value) is kind
    assert [r.method for r in client.requests] == ["HEAD", "GET"]
    assert client.sent()["range"] == "bytes=0-0"


def test_a_missing_version_may_be_a_missing_bucket() -> None:
    client = ScriptedClient(refusal(404), refusal(404, "NoSuchBucket"))
    with pytest.raises(NoSuchBucket):
        run(store(client).head(ObjectRef("bucket-1", "k", "v1")))


def test_a_delete_marker_needs_no_explanation() -> None:
    client = ScriptedClient(refusal(405, x_amz_delete_marker="true"))
    with pytest.raises(NoSuchVersion):
        run(store(client).head(ObjectRef("bucket-1", "k", "v1")))


PAGE = Reply(200, {"content-type": "text/html", "content-length": "3"}, b"abc")


@pytest.mark.parametrize("name", [name for name in CALLS if name != "abort"])
def test_a_page_from_between_is_not_taken_for_the_stores_word(name: str) -> None:
    with pytest.raises(TransientStoreError, match="not the store's") as told:
        run(CALLS[name](store(ScriptedClient(PAGE))))
    assert isinstance(told.value, OutcomeUnknown) is name.startswith(("put", "delete"))


def test_a_whole_reply_to_a_ranged_read_is_refused() -> None:
    with pytest.raises(IntegrityError, match="whole"):
        run(read(store(ScriptedClient(OK)), byte_range=(0, 2)))


def test_a_body_without_announced_length_is_counted() -> None:
    headers = {"etag": "e", "content-range": "bytes 0-2/9"}
    assert (
        run(read(store(ScriptedClient(Reply(206, headers, b"abc"))), byte_range=(0, 2))) == b"abc"
    )
    for body, kind in ((b"ab", TransientStoreError), (b"abcd", IntegrityError)):
        with pytest.raises(kind):
            run(read(store(ScriptedClient(Reply(206, headers, body))), byte_range=(0, 2)))


def test_complete_can_fail_after_200() -> None:
    body = b"<Error><Code>InternalError</Code></Error>"
    with pytest.raises(TransientStoreError) as told:
        run(store(ScriptedClient(Reply(200, {}, body))).complete(UPLOAD, []))
    assert type(told.value) is TransientStoreError


def test_a_complete_reply_that_says_nothing_leaves_the_outcome_open() -> None:
    for body in (b"", b"<CompleteMulti", b"<Other/>"):
        with pytest.raises(OutcomeUnknown):
            run(store(ScriptedClient(Reply(200, {}, body))).complete(UPLOAD, []))


def test_complete_tells_the_checksums_of_the_whole() -> None:
    body = (
        b"<CompleteMultipartUploadResult><ETag>&quot;e-1&quot;</ETag><ChecksumCRC64NVME>"
        b"AAAAAAAAAAE=</ChecksumCRC64NVME></CompleteMultipartUploadResult>"
    )
    receipt = run(
        store(
            ScriptedClient(Reply(200, {"x-goog-hash": "crc32c=AAAAAQ=="}, body)), dialect=GCS
        ).complete(UPLOAD, [])
    )
    assert receipt.etag == "e-1"
    assert (receipt.checksums.crc32c, receipt.checksums.crc64nvme) == (1, 1)


def test_a_listing_of_parts_that_does_not_get_on_ends() -> None:
    page = (
        b"<ListPartsResult><NextPartNumberMarker>0</NextPartNumberMarker>"
        b"<IsTruncated>true</IsTruncated></ListPartsResult>"
    )
    with pytest.raises(TransientStoreError, match="get on"):
        run(store(ScriptedClient(Reply(200, {}, page))).parts(UPLOAD))


def uploads_page(keys: list[str], marker: str = "") -> Reply:
    items = "".join(
        f"<Upload><Key>{key}</Key><UploadId>{i}{marker}</UploadId><Initiated>2026-01-0{i + 1}"
        "T00:00:00Z</Initiated></Upload>"
        for i, key in enumerate(keys)
    )
    more = (
        f"<IsTruncated>true</IsTruncated><NextKeyMarker>{marker}</NextKeyMarker>" if marker else ""
    )
    text = f"<ListMultipartUploadsResult>{items}{more}</ListMultipartUploadsResult>"
    return Reply(200, {}, text.encode())


def test_uploads_are_paged_until_another_key_comes() -> None:
    key = REF.key
    client = ScriptedClient(
        uploads_page([key, key], key), uploads_page([key, key + "x"], key + "x")
    )
    found = run(store(client).uploads(REF))
    assert [upload.upload_id for upload in found] == [f"1{key}", f"0{key}", f"0{key}x"]
    assert "key-marker=a%20b%2F%2B" in client.requests[1].target
    assert client.done


def test_a_listing_of_uploads_that_does_not_get_on_ends() -> None:
    client = ScriptedClient(*[uploads_page([REF.key], REF.key)] * 2)
    assert len(run(store(client).uploads(REF))) == 2
    assert client.done


def test_uploads_of_keys_xml_cannot_hold_are_listed_encoded() -> None:
    broken = Reply(200, {}, b"<ListMultipartUploadsResult><Key>\x01</Key>")
    client = ScriptedClient(broken, uploads_page([]))
    assert run(store(client).uploads(REF)) == []
    assert "encoding-type=url" not in client.requests[0].target
    assert "encoding-type=url" in client.requests[1].target


def test_tags_are_not_asked_where_there_are_none() -> None:
    assert run(store(ScriptedClient(), dialect=GCS).tagging(REF)) == ""
    assert run(store(ScriptedClient(refusal(404, "NoSuchTagSet"))).tagging(REF)) == ""
    with pytest.raises(AccessDenied):
        run(store(ScriptedClient(refusal(403, "AccessDenied"))).tagging(REF))


def test_no_secret_is_in_an_error() -> None:
    secret = "<StringToSign>AWS4 s1</StringToSign><SignatureProvided>beef</SignatureProvided>"
    client = ScriptedClient(refusal(403, "SignatureDoesNotMatch", secret))
    with pytest.raises(CredentialsRejected) as told:
        run(store(client).delete(REF))
    assert "s1" not in str(told.value).replace("bucket-1", "")
    assert "beef" not in str(told.value)
    assert "AKOLD" not in str(told.value)
