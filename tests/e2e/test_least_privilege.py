"""The policies of deploy/ allow what 3GSync does, and nothing that it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.moto_aws import MotoAws
from support.needed_permissions import Need, Reader, kind_of
from support.policies import DEPLOY, Grant, denied, grants
from support.privileged_runs import EVERYTHING, Act, Servers
from support.recorded_calls import Sent
from support.servers import S3Server

NOT_SEEN_FROM_OUTSIDE = {
    "aws/kms-policy.json": "the service itself asks KMS, with the caller's permissions",
}
"""Files whose permissions no request shows."""


@dataclass(frozen=True)
class Judged:
    """One request of one act, what it needs and what its keys have."""

    act: str
    sent: Sent
    needs: list[Need]
    allowed: list[Grant]
    google: bool = False

    @property
    def line(self) -> str:
        return f"{self.act}: {self.sent.method} {self.sent.url.partition('?')[0]}"


def _whose(sent: Sent, servers: Servers) -> str:
    """Whose keys it was signed with; the machine's own leave no signature."""
    if not sent.signer:
        return "machine"
    google = urlsplit(sent.url).netloc in servers.cloud_storage
    return "destination" if google or sent.signer == "AKIADESTINATION" else "source"


def _judge(act: Act, servers: Servers, reader: Reader) -> Iterator[Judged]:
    by_owner = {
        owner: [grant for file in files for grant in grants(file, act.names)]
        for owner, files in act.files.items()
    }
    for sent in act.sent:
        allowed = by_owner.get(_whose(sent, servers), [])
        google = urlsplit(sent.url).netloc in servers.cloud_storage
        yield Judged(act.name, sent, reader.needs(sent), allowed, google)


@pytest.fixture(scope="module")
def judged(
    moto_server: S3Server,
    gcs_server: S3Server,
    aws: MotoAws,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Judged]:
    servers = Servers(moto_server, gcs_server, aws, tmp_path_factory.mktemp("privileges"))
    for play in EVERYTHING:
        play(servers)
    reader = Reader(gcs=servers.cloud_storage)
    return [one for act in servers.acts for one in _judge(act, servers, reader)]


def _files() -> list[str]:
    """The policies of keys; bucket and queue policies are the resources' own."""
    named = (f"{path.parent.name}/{path.name}" for path in DEPLOY.glob("*/*"))
    wanted = (name for name in named if name.endswith(("-policy.json", "-role.yaml")))
    return [n for n in wanted if "bucket-policy" not in n and n != "aws/queue-policy.json"]


def test_nothing_is_asked_that_the_policies_do_not_allow(judged: list[Judged]) -> None:
    outside = {
        f"{one.line}: {need.action} on {need.resource}"
        for one in judged
        for need in denied(one.needs, one.allowed)
    }
    assert not outside, "\n".join(sorted(outside))


def test_no_permission_is_left_that_nothing_needs(judged: list[Judged]) -> None:
    """Take any single one away, and a request of the record is refused."""
    needed: set[str] = set()
    for one in judged:
        for need in one.needs:
            by = {grant.name for grant in one.allowed if grant.allows(need)}
            needed |= by if len(by) == 1 else set()
    everything = {grant.name for file in _files() for grant in grants(file, {})}
    unseen = {name for name in everything if name.split()[0] in NOT_SEEN_FROM_OUTSIDE}
    assert everything - needed - unseen == set()
    assert needed <= everything
    assert unseen
    assert not unseen & needed


def test_one_permission_less_is_noticed(judged: list[Judged]) -> None:
    """As the two tests above would: the judge is no yes-man."""
    gone = "sqs:DeleteMessage"
    short = {
        need.action
        for one in judged
        for need in denied(one.needs, [g for g in one.allowed if g.action != gone])
    }
    assert short == {gone}


# --- Cloud Storage's rules of headers, over the same record -------------------------------

ASKED_OF_GOOGLE = {
    *(("GET", kind) for kind in ("object", "upload", "uploads", "list")),
    ("HEAD", "object"),
    *(("PUT", kind) for kind in ("object", "upload")),
    *(("POST", kind) for kind in ("begin", "upload")),
    *(("DELETE", kind) for kind in ("object", "upload")),
}
ALLOWED_AMZ = {
    *("x-amz-date", "x-amz-content-sha256", "x-amz-storage-class", "x-amz-copy-source"),
    *("x-amz-copy-source-if-match", "x-amz-metadata-directive", "x-amz-security-token"),
}
"""Headers with a twin in x-goog-, or of the signature itself."""


def test_every_kind_of_request_to_cloud_storage_has_only_headers_it_takes(
    judged: list[Judged],
) -> None:
    """Source: Cloud Storage documentation, "Simple migration from Amazon S3"."""
    sent = [one.sent for one in judged if one.google]
    kinds = {(s.method, kind_of(s, (*s.path.split("/", 2), "")[2])) for s in sent}
    assert kinds == ASKED_OF_GOOGLE
    for one in sent:
        amazon = {name for name in one.headers if name.startswith("x-amz-")}
        meta = {name for name in amazon if name.startswith("x-amz-meta-")}
        assert amazon - meta <= ALLOWED_AMZ, one
        assert amazon <= one.signed_headers, one
        assert not [name for name in one.headers if name.startswith("x-goog-")], one
        assert "accept-encoding" not in one.signed_headers, "it is rewritten on the way"
        assert "aws-chunked" not in one.headers.get("content-encoding", "")
        assert not one.headers["x-amz-content-sha256"].startswith("STREAMING"), one
        assert "host" in one.signed_headers


def test_no_library_speaks_to_the_stores(judged: list[Judged]) -> None:
    """A new boto3 has new defaults (checksums, trailers): no object travels by it."""
    assert {one.sent.client for one in judged if one.google} == {"3gsync"}
    theirs = {
        (one.sent.client, need.action)
        for one in judged
        for need in one.needs
        if one.sent.client != "3gsync"
    }
    assert theirs == {
        ("boto3", "ssm:GetParameter"),
        ("boto3", "kms:Decrypt"),
        ("boto3", "s3:GetBucketNotification"),
        ("boto3", "s3:PutBucketNotification"),
        ("boto3", "sqs:GetQueueUrl"),
        ("boto3", "sqs:GetQueueAttributes"),
        ("boto3", "sqs:SetQueueAttributes"),
        ("google", "secretmanager.versions.access"),
    }


# --- policies of buckets and queues --------------------------------------------------------


def _statements(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEPLOY / "aws" / name).read_text())["Statement"]
    return found


@pytest.mark.parametrize("side", ["source", "destination"])
def test_bucket_policies_refuse_what_is_not_tls_and_allow_what_the_keys_have(side: str) -> None:
    statements = _statements(f"{side}-bucket-policy.json")
    refused = {json.dumps(s["Condition"]): s for s in statements if s["Effect"] == "Deny"}
    assert set(refused) == {
        '{"Bool": {"aws:SecureTransport": "false"}}',
        '{"NumericLessThan": {"s3:TlsVersion": "1.2"}}',
    }
    bucket = f"arn:aws:s3:::{side.upper()}_BUCKET"
    for statement in refused.values():
        assert (statement["Principal"], statement["Action"]) == ("*", "s3:*")
        assert statement["Resource"] == [bucket, f"{bucket}/*"]
    file = "aws/worker-policy.json" if side == "source" else "aws/destination-policy.json"
    theirs = {g.action for g in grants(file, {}) if bucket in " ".join(g.resources)}
    ours = {a for s in statements if s["Effect"] == "Allow" for a in s["Action"]}
    assert ours <= theirs
    assert theirs - ours <= {"s3:DeleteObject", "s3:DeleteObjectVersion"}


def test_the_queue_takes_messages_of_one_bucket_of_one_account() -> None:
    (statement,) = _statements("queue-policy.json")
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::SOURCE_BUCKET"},
        "StringEquals": {"aws:SourceAccount": "ACCOUNT"},
    }


def test_no_policy_of_keys_has_a_wildcard_action_or_every_resource() -> None:
    for file in _files():
        for grant in grants(file, {}):
            assert "*" not in grant.action, grant.name
            assert not {"*", "arn:aws:s3:::*"} & set(grant.resources), grant.name
