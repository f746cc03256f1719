import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.s3_xml import (
    PartsPage,
    XmlFault,
    complete_document,
    concatenated,
    parse_complete,
    parse_error,
    parse_objects,
    parse_parts,
    parse_tagging,
    parse_upload_id,
    parse_uploads,
    timestamp,
)
from sync.model import UploadedPart

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>
<Error><Code>&b;</Code></Error>"""


def test_errors_are_read_with_and_without_wrapping() -> None:
    inner = (
        "<Error><Code>NoSuchKey</Code><Message>m</Message><RequestId>r</RequestId>"
        "<Region>eu-west-1</Region></Error>"
    )
    for text in (inner, f"<ErrorResponse>{inner}</ErrorResponse>", f"\n  {inner}"):
        found = parse_error(text.encode())
        assert found is not None
        assert (found.code, found.message, found.request_id) == ("NoSuchKey", "m", "r")
        assert found.region == "eu-west-1"


@pytest.mark.parametrize(
    "body", [b"", b"<html>502</html>", b"not xml", b"<Error>", BOMB, b"\xff\xfe\x00"]
)
def test_what_is_no_error_document_is_none(body: bytes) -> None:
    assert parse_error(body) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_error_parser(body: bytes) -> None:
    parse_error(body)


def test_entities_are_never_expanded() -> None:
    with pytest.raises(XmlFault):
        parse_upload_id(BOMB)


def test_upload_ids() -> None:
    body = f"<InitiateMultipartUploadResult {XMLNS}><UploadId>u/1+</UploadId>"
    assert parse_upload_id((body + "</InitiateMultipartUploadResult>").encode()) == "u/1+"
    with pytest.raises(XmlFault, match="UploadId"):
        parse_upload_id(b"<InitiateMultipartUploadResult/>")
    with pytest.raises(XmlFault, match="<Other>"):
        parse_upload_id(b"<Other/>")


def test_a_completed_object_with_leading_white_space() -> None:
    body = (
        '\r\n   <?xml version="1.0" encoding="UTF-8"?>\n'
        f"<CompleteMultipartUploadResult {XMLNS}><ETag>&quot;e-2&quot;</ETag>"
        "<ChecksumCRC64NVME>AAAAAAAAAAE=</ChecksumCRC64NVME>"
        "<ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>"
    )
    done = parse_complete(body.encode())
    assert done.etag == "e-2"
    assert done.checksums == {
        "x-amz-checksum-crc64nvme": "AAAAAAAAAAE=",
        "x-amz-checksum-type": "FULL_OBJECT",
    }


def part_xml(number: int, size: int, etag: str, when: str) -> str:
    return (
        f"<Part><PartNumber>{number}</PartNumber><Size>{size}</Size>"
        f"<ETag>&quot;{etag}&quot;</ETag><LastModified>{when}</LastModified></Part>"
    )


def test_parts_and_their_marker() -> None:
    parts = part_xml(1, 5, "a", "2026-01-01T00:00:00.000Z") + part_xml(2, 6, "b", "")
    tail = "<NextPartNumberMarker>2</NextPartNumberMarker><IsTruncated>{}</IsTruncated>"
    for flag, marker in (("true", "2"), ("false", "")):
        text = f"<ListPartsResult {XMLNS}>{parts}{tail.format(flag)}</ListPartsResult>"
        page = parse_parts(text.encode())
        assert page.marker == marker
        assert [(p.number, p.size, p.etag) for p in page.parts] == [(1, 5, "a"), (2, 6, "b")]
        assert page.parts[0].last_modified == 1767225600.0
        assert page.parts[1].last_modified == 0.0


def test_numbers_must_be_numbers() -> None:
    with pytest.raises(XmlFault, match="Size"):
        parse_parts(
            f"<ListPartsResult>{part_xml(1, 5, 'a', '')}</ListPartsResult>".replace(
                "<Size>5</Size>", "<Size>five</Size>"
            ).encode()
        )


def part(number: int, etag: str, when: float) -> UploadedPart:
    return UploadedPart(number, 1, etag, when)


def test_a_part_listed_twice_counts_once_the_later_one() -> None:
    pages = [
        PartsPage((part(2, "old", 1.0), part(1, "a", 5.0)), "2"),
        PartsPage((part(2, "new", 2.0),), ""),
    ]
    assert concatenated(pages) == [part(1, "a", 5.0), part(2, "new", 2.0)]


def test_a_part_listed_twice_at_one_time_is_left_out() -> None:
    tied = PartsPage((part(1, "x", 1.0), part(1, "y", 1.0), part(2, "b", 1.0)), "")
    assert concatenated([tied]) == [part(2, "b", 1.0)]
    settled = PartsPage((*tied.parts, part(1, "z", 2.0)), "")
    assert concatenated([settled]) == [part(1, "z", 2.0), part(2, "b", 1.0)]
    same = PartsPage((part(1, "x", 1.0), part(1, "x", 1.0)), "")
    assert concatenated([same]) == [part(1, "x", 1.0)]


@pytest.mark.parametrize(
    ("shown", "encoded", "key"),
    [("a+b%2B", True, "a b+"), ("a+b%2B", False, "a+b%2B"), ("a%0Ab", True, "a\nb")],
)
def test_keys_are_decoded_only_where_they_were_encoded(
    shown: str,
    encoded: bool,
    key: str,
) -> None:
    kind = "<EncodingType>url</EncodingType>" if encoded else ""
    text = (
        f"<ListMultipartUploadsResult {XMLNS}>{kind}<IsTruncated>true</IsTruncated>"
        f"<NextKeyMarker>{shown}</NextKeyMarker><NextUploadIdMarker>u+1</NextUploadIdMarker>"
        f"<Upload><Key>{shown}</Key><UploadId>u+1</UploadId>"
        "<Initiated>2026-01-01T00:00:00Z</Initiated></Upload></ListMultipartUploadsResult>"
    )
    page = parse_uploads(text.encode())
    assert (page.key_marker, page.upload_marker) == (key, "u+1")
    assert [(e.key, e.upload_id, e.initiated) for e in page.entries] == [(key, "u+1", 1767225600.0)]


def listing(truncated: str, token: str) -> bytes:
    return (
        f"<ListBucketResult {XMLNS}><EncodingType>url</EncodingType><IsTruncated>{truncated}"
        f"</IsTruncated>{token}<Contents><Key>a%2Fb</Key><Size>3</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"
    ).encode()


def test_object_listings() -> None:
    page = parse_objects(listing("true", "<NextContinuationToken>t</NextContinuationToken>"))
    assert page.token == "t"
    entry = page.entries[0]
    assert (entry.key, entry.size, entry.etag, entry.storage_class) == ("a/b", 3, "e", "STANDARD")
    assert parse_objects(listing("false", "")).token == ""


def test_a_listing_that_breaks_off_is_no_complete_listing() -> None:
    with pytest.raises(XmlFault, match="token"):
        parse_objects(listing("true", ""))


def test_tags_are_encoded_for_the_header() -> None:
    text = (
        f"<Tagging {XMLNS}><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag>"
        "<Tag><Key>ü</Key><Value/></Tag></TagSet></Tagging>"
    )
    assert parse_tagging(text.encode()) == "a%20b=1%262&%C3%BC="
    assert parse_tagging(b"<Tagging><TagSet/></Tagging>") == ""


def test_the_complete_document() -> None:
    body = complete_document([UploadedPart(1, 5, "a<&"), UploadedPart(10_000, 1, "b")])
    assert body == (
        b'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b'<Part><PartNumber>1</PartNumber><ETag>"a&lt;&amp;"</ETag></Part>'
        b'<Part><PartNumber>10000</PartNumber><ETag>"b"</ETag></Part></CompleteMultipartUpload>'
    )


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z"])
def test_dates_that_are_none(text: str) -> None:
    assert timestamp(text) == 0.0


@pytest.mark.parametrize("size", ["", "-5", "4e3", "\u0663"])
def test_a_listed_size_is_a_number_of_bytes(size: str) -> None:
    body = (
        f"<ListBucketResult><Contents><Key>k</Key><Size>{size}</Size></Contents></ListBucketResult>"
    )
    with pytest.raises(XmlFault, match="Size"):
        parse_objects(body.encode())
