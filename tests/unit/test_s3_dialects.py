import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.dialects import AWS, BY_NAME, GCS, GENERIC, S3Dialect, dialect_for
from sync.model import GIB, TIB, Digest


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://s3.amazonaws.com", "aws"),
        ("https://s3.eu-west-1.amazonaws.com", "aws"),
        ("https://s3.cn-north-1.amazonaws.com.cn/", "aws"),
        ("s3.dualstack.us-west-2.amazonaws.com", "aws"),
        ("https://bucket.vpce-1-2.s3.us-east-1.vpce.amazonaws.com", "aws"),
        ("https://storage.googleapis.com", "gcs"),
        ("https://STORAGE.googleapis.com.", "gcs"),
        ("https://storage.europe-west3.rep.googleapis.com", "gcs"),
        ("https://storage-mine.p.googleapis.com", "gcs"),
        ("https://amazonaws.com.evil.example", "generic"),
        ("https://notamazonaws.com", "generic"),
        ("https://storage.googleapis.com.evil.example", "generic"),
        ("http://127.0.0.1:8333", "generic"),
        ("https://oss-cn-hangzhou.aliyuncs.com", "generic"),
        ("", "generic"),
    ],
)
def test_an_endpoint_tells_its_dialect(endpoint: str, name: str) -> None:
    assert dialect_for(endpoint).name == name


def test_what_each_store_proves_its_bytes_with() -> None:
    assert {name: set(dialect.digests) for name, dialect in BY_NAME.items()} == {
        "aws": {Digest.CRC64NVME},
        "gcs": {Digest.CRC32C},
        "generic": {Digest.MD5},
    }
    assert not GCS.etag_is_md5
    assert GENERIC.etag_is_md5


def test_limits_are_the_vendors() -> None:
    assert AWS.max_object == AWS.max_parts * AWS.max_part == 10_000 * 5 * GIB
    assert GCS.max_object == 5 * TIB
    assert GCS.write_interval == 1.0
    assert "NEARLINE" in GCS.storage_classes
    assert not GCS.has_tags


@pytest.mark.parametrize("dialect", [AWS, GCS, GENERIC], ids=lambda d: d.name)
@pytest.mark.parametrize(
    ("key", "word"),
    [("", "empty"), ("x" * 1025, "1025 bytes"), ("é" * 513, "1026 bytes"), ("\ud800", "Unicode")],
    ids=["empty", "long", "long-utf8", "surrogate"],
)
def test_keys_nobody_can_hold(dialect: S3Dialect, key: str, word: str) -> None:
    assert word in (dialect.key_fault(key) or "")


@pytest.mark.parametrize(
    "key",
    [".", "..", "a\rb", "a\nb", ".well-known/acme-challenge/x", ".well-known/acme-challenge/"],
)
def test_keys_only_cloud_storage_refuses(key: str) -> None:
    assert GCS.key_fault(key)
    assert AWS.key_fault(key) is None


@pytest.mark.parametrize(
    "key", ["a", "x" * 1024, "é" * 512, "a//b", "/a", "./a", "a/../b", "...", "folder/", "+", "🦊"]
)
def test_keys_that_pass_everywhere(key: str) -> None:
    assert [d.key_fault(key) for d in (AWS, GCS, GENERIC)] == [None] * 3


@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_a_key_without_fault_can_be_sent(key: str) -> None:
    for dialect in (AWS, GCS, GENERIC):
        if dialect.key_fault(key) is None:
            assert 1 <= len(key.encode()) <= 1024
