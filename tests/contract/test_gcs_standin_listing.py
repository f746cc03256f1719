"""Listings, bulk deletes and buckets on the stand-in."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from support.gcs import BUCKET, ask, boto_client, running_gcs
from sync.standins.gcs import GcsProcess
from sync.standins.gcs.listing import page

NAMES = ["a", "a/", "a//b", "a/b", "a/b/c", "ab", "\u00fc", "z", "\uffff", "\U00010000"]


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsProcess]:
    with running_gcs(page_size=3) as running:
        for name in NAMES:
            ask(running, "PUT", name, body=name.encode())
        yield running


@pytest.fixture
def client(gcs: GcsProcess) -> Any:
    return boto_client(gcs)


@pytest.mark.parametrize("method", ["list_objects", "list_objects_v2"])
def test_every_key_once_in_the_order_of_its_bytes(client: Any, method: str) -> None:
    pages = list(client.get_paginator(method).paginate(Bucket=BUCKET))
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert keys == sorted(NAMES, key=str.encode)
    assert len(pages) == 4


@pytest.mark.parametrize("method", ["list_objects", "list_objects_v2"])
def test_a_delimiter_groups(client: Any, method: str) -> None:
    pages = list(client.get_paginator(method).paginate(Bucket=BUCKET, Delimiter="/"))
    groups = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert (groups, keys) == (["a/"], ["a", "ab", "z", "\u00fc", "\uffff", "\U00010000"])


def test_a_prefix_and_a_start(client: Any) -> None:
    found = client.list_objects_v2(Bucket=BUCKET, Prefix="a/")
    assert [entry["Key"] for entry in found["Contents"]] == ["a/", "a//b", "a/b"]
    assert (found["IsTruncated"], found["KeyCount"]) == (True, 3)
    found = client.list_objects_v2(Bucket=BUCKET, StartAfter="a/b")
    assert [entry["Key"] for entry in found["Contents"]] == ["a/b/c", "ab", "z"]


def test_entries_tell_size_etag_and_class(client: Any) -> None:
    entry = client.list_objects_v2(Bucket=BUCKET, Prefix="ab")["Contents"][0]
    assert (entry["Size"], entry["StorageClass"]) == (2, "STANDARD")
    assert entry["ETag"] == '"187ef4436122d1cc2f40dc2b92f0eba0"'


def test_wrong_listings_are_refused(gcs: GcsProcess) -> None:
    for query in ("list-type=3", "list-type=2&max-keys=x", "list-type=2&encoding-type=base64"):
        assert ask(gcs, "GET", "", query=query).code == "InvalidArgument", query
    query = "continuation-token=made-up&list-type=2"
    assert ask(gcs, "GET", "", query=query).code == "InvalidArgument"
    assert ask(gcs, "GET", "", bucket="nowhere", query="list-type=2").code == "NoSuchBucket"


@given(
    names=st.lists(st.text("ab/\U0010ffff", min_size=1, max_size=5), unique=True),
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "b", "ab"]),
    limit=st.integers(1, 4),
)
def test_pages_add_up_to_the_whole(
    names: list[str], prefix: str, delimiter: str, limit: int
) -> None:
    def group(name: str) -> str:
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        return name[: cut + len(delimiter)] if cut >= 0 else ""

    wanted = {group(name) or name for name in names if name.startswith(prefix)}
    found: list[str] = []
    after = ""
    while True:
        got = page(sorted(names), prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        found += sorted((*got.keys, *got.prefixes))
        after = got.last
        if not got.truncated:
            break
        assert len(got.keys) + len(got.prefixes) == limit
    assert found == sorted(wanted)


def test_bulk_deletes() -> None:
    with running_gcs() as gcs:
        client = boto_client(gcs)
        for key in ("one", "two +%2B", "three", "kept"):
            client.put_object(Bucket=BUCKET, Key=key, Body=b"")
        gone = [{"Key": key} for key in ("one", "two +%2B", "three", "never there")]
        done = client.delete_objects(Bucket=BUCKET, Delete={"Objects": gone})
        assert {entry["Key"] for entry in done["Deleted"]} == {entry["Key"] for entry in gone}
        left = client.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert [entry["Key"] for entry in left] == ["kept"]
        with pytest.raises(ClientError, match="InvalidMultiObjectDeleteRequest"):
            many = [{"Key": str(number)} for number in range(1001)]
            client.delete_objects(Bucket=BUCKET, Delete={"Objects": many})


def test_buckets_come_and_go(client: Any) -> None:
    client.create_bucket(Bucket="new.bucket-1")
    with pytest.raises(ClientError, match="BucketAlreadyOwnedByYou"):
        client.create_bucket(Bucket="new.bucket-1")
    assert "new.bucket-1" in [b["Name"] for b in client.list_buckets()["Buckets"]]
    client.head_bucket(Bucket="new.bucket-1")
    assert client.get_bucket_location(Bucket="new.bucket-1")["LocationConstraint"] == "US"
    client.put_object(Bucket="new.bucket-1", Key="k", Body=b"")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        client.delete_bucket(Bucket="new.bucket-1")
    client.delete_object(Bucket="new.bucket-1", Key="k")
    client.delete_bucket(Bucket="new.bucket-1")
    with pytest.raises(ClientError, match="404"):
        client.head_bucket(Bucket="new.bucket-1")


def test_versioning_can_be_turned_on(client: Any) -> None:
    client.create_bucket(Bucket="later-versioned")
    assert "Status" not in client.get_bucket_versioning(Bucket="later-versioned")
    client.put_bucket_versioning(
        Bucket="later-versioned", VersioningConfiguration={"Status": "Enabled"}
    )
    assert client.get_bucket_versioning(Bucket="later-versioned")["Status"] == "Enabled"


@pytest.mark.parametrize("name", ["UPPER", "x", "goog-bucket", "a..b", "-a-"])
def test_bucket_names(gcs: GcsProcess, name: str) -> None:
    assert ask(gcs, "PUT", "", bucket=name).code == "InvalidBucketName"
