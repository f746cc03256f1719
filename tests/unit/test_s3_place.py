import pytest

from sync.adapters.dialects import AWS, GCS, GENERIC, dialect_for
from sync.adapters.s3_place import Endpoint, parse_endpoint
from sync.errors import ConfigError
from sync.wire.request import Origin


def endpoint(url: str, *, region: str = "", addressing: str = "auto") -> Endpoint:
    return parse_endpoint(url, dialect=dialect_for(url), region=region, addressing=addressing)


def served(url: str, bucket: str, *, region: str = "", addressing: str = "auto") -> str:
    place = endpoint(url, region=region, addressing=addressing).place(
        bucket, region=region, encoded=bucket
    )
    return f"{place.origin.scheme}://{place.origin.authority}{place.prefix} {place.region}"


@pytest.mark.parametrize(
    ("url", "region", "expected"),
    [
        ("https://s3.amazonaws.com", "", "https://b-1.s3.amazonaws.com/ us-east-1"),
        (
            "https://s3.amazonaws.com",
            "eu-west-3",
            "https://b-1.s3.eu-west-3.amazonaws.com/ eu-west-3",
        ),
        (
            "https://s3.amazonaws.com",
            "cn-north-1",
            "https://b-1.s3.cn-north-1.amazonaws.com.cn/ cn-north-1",
        ),
        ("s3.eu-west-3.amazonaws.com", "", "https://b-1.s3.eu-west-3.amazonaws.com/ eu-west-3"),
        (
            "https://s3.dualstack.eu-west-3.amazonaws.com",
            "us-west-2",
            "https://b-1.s3.dualstack.us-west-2.amazonaws.com/ us-west-2",
        ),
        (
            "https://s3-fips.us-gov-west-1.amazonaws.com",
            "",
            "https://b-1.s3-fips.us-gov-west-1.amazonaws.com/ us-gov-west-1",
        ),
        (
            "https://s3-accelerate.amazonaws.com",
            "eu-west-3",
            "https://b-1.s3-accelerate.amazonaws.com/ eu-west-3",
        ),
        ("https://storage.googleapis.com", "", "https://storage.googleapis.com/b-1/ auto"),
        (
            "https://storage.googleapis.com",
            "us-east-1",
            "https://storage.googleapis.com/b-1/ us-east-1",
        ),
        ("http://127.0.0.1:8333", "", "http://127.0.0.1:8333/b-1/ us-east-1"),
        ("http://[::1]:8333/", "x", "http://[::1]:8333/b-1/ x"),
    ],
)
def test_where_a_bucket_is_served(url: str, region: str, expected: str) -> None:
    assert served(url, "b-1", region=region) == expected


@pytest.mark.parametrize("bucket", ["with.dots", "Upper", "under_score", "ab", "-x-", "x" * 64])
def test_a_bucket_that_is_no_dns_label_goes_into_the_path(bucket: str) -> None:
    assert served("https://s3.amazonaws.com", bucket).startswith("https://s3.amazonaws.com/")


def test_addressing_can_be_forced() -> None:
    url = "https://s3.amazonaws.com"
    assert served(url, "b-1", addressing="path") == "https://s3.amazonaws.com/b-1/ us-east-1"
    assert served("http://minio.lan:9000", "b", addressing="virtual").startswith(
        "http://b.minio.lan:9000/ "
    )


@pytest.mark.parametrize(
    ("url", "region", "can"),
    [
        ("https://s3.amazonaws.com", "eu-west-1", True),
        ("https://s3-fips.us-east-1.amazonaws.com", "us-east-2", True),
        ("https://s3.amazonaws.com", "evil.example/x", False),
        ("https://s3.amazonaws.com", "eu-west-1.evil.example#", False),
        ("https://s3.amazonaws.com", "auto", False),
        ("https://s3.amazonaws.com", "", False),
        ("https://s3-accelerate.amazonaws.com", "eu-west-1", False),
        ("https://storage.googleapis.com", "eu-west-1", False),
        ("http://127.0.0.1:1", "eu-west-1", False),
    ],
)
def test_only_aws_hosts_built_here_are_moved_to(url: str, region: str, can: bool) -> None:
    assert endpoint(url).can_move(region) is can


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "ftp://s3.amazonaws.com",
        "https://host/bucket",
        "https://host?x=1",
        "https://user:hunter2@host",
        "https://host:99999",
        "https://host:port",
    ],
)
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse_endpoint(url, dialect=GENERIC)
    assert "hunter2" not in str(told.value)


def test_an_unknown_addressing_is_refused() -> None:
    with pytest.raises(ConfigError, match="auto, path, virtual"):
        parse_endpoint("https://host", dialect=AWS, addressing="vhost")


def test_ports_are_the_schemes_own_where_none_is_given() -> None:
    assert parse_endpoint("http://h", dialect=GCS).origin == Origin("http", "h", 80)
    assert parse_endpoint("h", dialect=GCS).origin == Origin("https", "h", 443)
