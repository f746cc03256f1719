"""The quick reader of listings says what the XML parser says, of any bytes."""

from __future__ import annotations

import re
import sys
from collections import Counter
from types import FrameType
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync.adapters.listing_page import parse_page, usual_page
from sync.adapters.s3_xml import XmlFault, parse_objects
from sync.model import ListedObject
from sync.ports import ListingPage

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/>'
)
WHEN = "<LastModified>2026-11-21T13:34:26.000Z</LastModified>"
DIGEST = "&quot;6761d6772dc789aa1a2be9e51757c93b&quot;"
S3 = (
    "<IsTruncated>true</IsTruncated><NextContinuationToken>1abc/=</NextContinuationToken>"
    f"<EncodingType>url</EncodingType><Contents><Key>a/b+%2B%C3%A9</Key>{WHEN}<ETag>{DIGEST}</ETag>"
    "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
    f"<Size>10</Size><StorageClass>GLACIER</StorageClass></Contents><Contents><Key>b</Key>{WHEN}"
    "<ETag>&quot;e-2&quot;</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
S3_OWNED = (
    f"<IsTruncated>false</IsTruncated><Contents><Key>a</Key>{WHEN}<ETag>{DIGEST}</ETag>"
    "<Size>10</Size><Owner><ID>6cf4</ID></Owner><StorageClass>STANDARD</StorageClass></Contents>"
)
# As the API reference writes it: white space, plain quotes, the owner's name, other orders.
REFERENCE = """
    <KeyCount>2</KeyCount> <MaxKeys>3</MaxKeys> <IsTruncated>false</IsTruncated>
    <Contents>
        <Key>ExampleObject.txt</Key>
        <LastModified>2013-09-17T18:07:53.000Z</LastModified>
        <ETag>"599bab3ed2c697f1d26842727561fd94"</ETag>
        <Size>857</Size>
        <StorageClass>REDUCED_REDUNDANCY</StorageClass>
    </Contents>
    <Contents>
        <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>
        <ETag>"599bab3ed2c697f1d26842727561fd94"</ETag>
        <Key>my-image.jpg</Key>
        <LastModified>2009-10-12T17:50:30Z</LastModified>
        <Owner>
            <DisplayName>mtd@example.org</DisplayName>
            <ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID>
        </Owner>
        <RestoreStatus>
            <IsRestoreInProgress>false</IsRestoreInProgress>
            <RestoreExpiryDate>2012-12-21T00:00:00.000Z</RestoreExpiryDate>
        </RestoreStatus>
        <Size>434234</Size>
        <StorageClass>STANDARD</StorageClass>
    </Contents>
"""
CLOUD_STORAGE = (
    "<IsTruncated>false</IsTruncated><Contents><Key>a]b&amp;c</Key>"
    "<Generation>1360887759327000</Generation><MetaGeneration>1</MetaGeneration>"
    '<LastModified>2013-02-15T00:22:39.327Z</LastModified><ETag>"9bd5-2"</ETag><Size>4</Size>'
    "</Contents>"
)
CEPH = (
    "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>a&#39;b</Key>"
    f"{WHEN}<ETag>{DIGEST}</ETag><Size>4</Size><StorageClass>STANDARD</StorageClass>"
    "<Owner><ID>u</ID><DisplayName>User</DisplayName></Owner><Type>Normal</Type></Contents>"
)
GO = (
    "<IsTruncated>false</IsTruncated><Contents><Key>a</Key>"
    "<LastModified>2026-11-21T13:34:26Z</LastModified><ETag>&#34;e&#34;</ETag><Size>4</Size>"
    "<Owner><ID>x</ID><DisplayName>m</DisplayName></Owner><StorageClass>COLD</StorageClass>"
    "<UserMetadata></UserMetadata></Contents>"
)
USUAL = [S3, S3_OWNED, REFERENCE, CLOUD_STORAGE, CEPH, GO]


def document(inner: str) -> bytes:
    return (HEAD + inner + "</ListBucketResult>").encode()


def outcome(parse: object, body: bytes) -> object:
    try:
        return parse(body)  # type: ignore[operator]
    except XmlFault:
        return XmlFault


@pytest.mark.parametrize("inner", USUAL)
def test_the_shapes_that_stores_send_are_read_quickly(inner: str) -> None:
    body = document(inner)
    assert usual_page(body) == parse_objects(body)
    assert len(usual_page(body).entries) == inner.count("<Contents>")


def test_what_the_entries_come_to() -> None:
    first = ListedObject(
        "a/b +é", 10, "6761d6772dc789aa1a2be9e51757c93b", 1795268066.0, "GLACIER", None, None
    )
    second = ListedObject("b", 0, "e-2", 1795268066.0)
    assert usual_page(document(S3)) == ListingPage((first, second), "1abc/=")
    assert [type(entry) for entry in usual_page(document(S3)).entries] == [ListedObject] * 2
    assert usual_page(document(CLOUD_STORAGE)).entries[0].key == "a]b&c"
    assert usual_page(document(CLOUD_STORAGE)).entries[0].last_modified == 1360887759.327


def listed(*children: str) -> str:
    """Entries of these children, each with a size."""
    return "".join(f"<Contents>{one}<Size>1</Size></Contents>" for one in children)


ODD = {
    "no character of XML": listed("<Key>a\ufffe</Key>"),
    "another": listed("<Key>a\uffff</Key>"),
    "the end of a CDATA section": listed("<Key>a]]>b</Key>"),
    "the same unseen": listed("<Key>a</Key><Type>]]></Type>"),
    "keys of two lines": listed("<Key>a\nb</Key>", "<Key>c</Key>"),
    "an encoded newline": "<EncodingType>url</EncodingType>" + listed("<Key>a%0Ab</Key>"),
    "quotes at one end": listed('<Key>a</Key><ETag>a""</ETag>', '<Key>b</Key><ETag>"b"</ETag>'),
    "quotes within": listed('<Key>a</Key><ETag>"a"b"</ETag>', '<Key>b</Key><ETag>c"</ETag>'),
    "an element in a text": listed("<Key>a</Key><ETag>a</ETag><ETag><b>c</b></ETag>"),
    "no end": "<Contents>",
    "the end first": "</Contents><Contents>",
    "an attribute": listed("<Key>a</Key>").replace("<Contents>", "<Contents a='b'>") + listed("c"),
    "an entry of attributes before": "<Contents a='b'><Key>a</Key><Size>1</Size></Contents>"
    + listed("<Key>b</Key>"),
    "below another element": f"<Other>{listed('<Key>a</Key>')}</Other>",
    "in a comment": f"<!-- {listed('<Key>a</Key>')} -->",
    "in a CDATA section": f"<Name><![CDATA[{listed('<Key>a</Key>')}]]></Name>",
    "crossed elements": listed("<Key>a</Key><Owner><ID>x</DisplayName></Owner>"),
    "a carriage return": listed("<Key>a\rb</Key>"),
}


@pytest.mark.parametrize("inner", ODD.values(), ids=ODD.keys())
def test_odd_pages_are_left_to_the_xml_parser(inner: str) -> None:
    body = document(inner)
    assert outcome(parse_page, body) == outcome(parse_objects, body)


def test_heads_that_change_what_follows() -> None:
    body = document(listed("<Key>é</Key>"))
    for head, other in (
        (b"UTF-8", b"ISO-8859-1"),
        (b"<ListBucketResult xmlns=", b"<a:ListBucketResult xmlns:a="),
    ):
        changed = body.replace(head, other).replace(
            b"</List", b"</a:List" if b"a:" in other else b"</List"
        )
        assert outcome(parse_page, changed) == outcome(parse_objects, changed)
        assert outcome(parse_page, changed) != outcome(parse_page, body)


def test_no_function_of_ours_is_called_for_each_entry() -> None:
    """What makes it quick, counted: calls for a page of a thousand entries."""
    head, _, rest = S3.partition("<Contents>")
    body = document(head + ("<Contents>" + rest) * 500)
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        ours = frame.f_code.co_filename.endswith(("listing_page.py", "s3_xml.py"))
        if event == "call" and ours:  # other tests leave threads and finalizers
            calls[frame.f_code.co_name] += 1

    usual_page(body)
    sys.setprofile(count)
    try:
        page = usual_page(body)
    finally:
        sys.setprofile(None)
    assert len(page.entries) == 1000
    assert calls.total() < 100, calls


PLAIN = st.text(alphabet="abc/ +%.-_é日😀", max_size=8)
KEYS = PLAIN | st.text(max_size=12) | st.sampled_from(["%00", "a%0Ab", "%E9", "a]]>b", "+", "%3C"])
DATES = st.datetimes().map(lambda when: when.isoformat() + "Z") | st.sampled_from(
    ["2026-11-21T13:34:26.000Z", "2026-11-21", "2026-11-21Z13:34:26", "", " 2026-11-21 ", "soon"]
)
ETAGS = st.sampled_from(
    [
        *('"e"', "&quot;e&quot;", "&#34;e&#34;", "e", "", 'W/"e"', '"', ' "e" '),
        *('""e""', '"e\n"', '"&quot;', "&amp;quot;"),
    ]
)
CLASSES = st.sampled_from(["STANDARD", "X", "", "&amp;", "a b"])
OTHER = st.sampled_from(
    [
        "<ChecksumType>FULL_OBJECT</ChecksumType>",
        "<Owner><ID>i</ID><DisplayName>n</DisplayName></Owner>",
        "<Owner><Key>k</Key></Owner>",
        "<Owner><ID><a>i</a></ID></Owner>",
        "<Owner>&bad;</Owner>",
        "<Owner a='b'/>",
        "<Owner>\x01</Owner>",
        "<Contents><Key>inner</Key></Contents>",
        "<Key>again</Key>",
        "<Size>a</Size>",
        "<Size><b>1</b>2</Size>",
        "<!-- <Key>c</Key> -->",
        "<Key><![CDATA[x<y]]></Key>",
        "<x:Key xmlns:x='y'>z</x:Key>",
        "<Name>\x85\u2028\ufffe</Name>",
        "text",
        "\r\n ",
        "&",
    ]
)


@st.composite
def entries(draw: st.DrawFn) -> str:
    """One <Contents>, of children in any order, most of them as they should be."""
    key = draw(KEYS)
    children = [
        f"<Key>{key if draw(st.booleans()) else escape(key)}</Key>",
        f"<LastModified>{draw(DATES)}</LastModified>",
        f"<ETag>{draw(ETAGS)}</ETag>",
        f"<Size>{draw(st.integers(-1, 10**20))}</Size>",
        f"<StorageClass>{draw(CLASSES)}</StorageClass>",
    ]
    if draw(st.integers(0, 3)) == 0:
        children = draw(st.lists(st.sampled_from(children) | OTHER, max_size=8))
    return "<Contents>" + draw(st.sampled_from(["", "\n  "])).join(children) + "</Contents>"


ENDS = st.sampled_from(
    [
        "<IsTruncated>false</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
        "<IsTruncated>true</IsTruncated>",
        "<EncodingType>url</EncodingType>",
        "<EncodingType>url</EncodingType><!-- c -->",
        "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>",
    ]
)


@given(st.lists(entries(), max_size=4), ENDS, ENDS, st.sampled_from(["", "\n", "<x/>"]))
def test_any_page_is_read_as_the_xml_parser_reads_it(
    inner: list[str], before: str, after: str, between: str
) -> None:
    body = (HEAD + before + between.join(inner) + after + "</ListBucketResult>").encode(
        errors="surrogatepass"
    )
    assert outcome(parse_page, body) == outcome(parse_objects, body)


PIECES = st.binary(max_size=3) | st.sampled_from(
    [
        *(b"&", b"&amp;", b"]]>", b"<!--", b"-->", b"<Contents>", b"</Contents>", b"<Key>", b"\r"),
        *(b"</Key>", b"<Key/>", b"<?x ", b"?>", b"\xef\xbf\xbf", b"<![CDATA[", b" a='", b"\0"),
        *(b"<Size>1</Size>", b"%00", b"%E9", b'"', b"&quot;", b"]", b">", b"<", b"ISO-8859-1"),
        *(b"</Contents><Contents>", b"<Owner>", b"</Owner>", b"\xed\xa0\x80", b"x:", b"</Foo>"),
    ]
)


@given(st.sampled_from(USUAL), st.lists(st.tuples(st.integers(0), st.integers(0, 40), PIECES)))
@example(S3, [(HEAD.index("UTF-8"), 5, b"latin-1")])
@example(S3, [(0, len(HEAD.split("\n", maxsplit=1)[0]), b"<?xml version='1.1'?>")])
def test_damage_is_seen_wherever_it_is(inner: str, damage: list[tuple[int, int, bytes]]) -> None:
    body = document(inner)
    for where, length, piece in damage:
        at = where % len(body) if body else 0
        body = body[:at] + piece + body[at + length :]
    assert outcome(parse_page, body) == outcome(parse_objects, body)


def test_each_byte_of_a_page_counts() -> None:
    """No place of a page can hold something that the quick reader does not see."""
    body = document(S3)
    for at in range(len(body)):
        for piece in (b"", b"<", b"&", b">", b"\0", b"\xff", b"<x>"):
            damaged = body[:at] + piece + body[at + 1 :]
            assert outcome(parse_page, damaged) == outcome(parse_objects, damaged), (at, piece)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("<Key>%E9</Key><Size>1</Size>", "not UTF-8"),
        ("<Size>1</Size>", "without a <Key>"),
        ("<Key>a</Key>", "Size"),
        ("<Key>a</Key><Size>-1</Size>", "Size"),
        (f"<Key>a</Key><Size>{'9' * 5000}</Size>", "Size"),
    ],
)
def test_an_entry_that_says_nothing_sure_fails_the_page(entry: str, fault: str) -> None:
    body = document(f"<EncodingType>url</EncodingType><Contents>{entry}</Contents>")
    with pytest.raises(XmlFault, match=re.escape(fault)):
        parse_page(body)


def test_a_listing_of_another_kind_is_none() -> None:
    with pytest.raises(XmlFault, match="ListVersionsResult"):
        parse_page(document(S3).replace(b"ListBucketResult", b"ListVersionsResult"))
