"""``3gsync triggers`` as its user runs it: S3's rules on a strict store, queues on moto."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import botocore.session
import pytest

from support.buckets import make_bucket
from support.moto_aws import MotoAws, moto_aws
from support.notification_store import NS, Bucket, Refused, Store, notification_store
from sync import cli
from sync.adapters.trigger_policy import Grant, Sender, grant, merged
from sync.commands import trigger_change

ACCOUNT = "123456789012"
SECRET = "canary-secret-that-nobody-may-see"
TOOLS = Path(__file__).parents[2] / "tools" / "event-triggers"
OTHERS = (
    b'<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<TopicConfiguration><Id>topic</Id><Topic>arn:aws:sns:us-east-1:1:t</Topic>"
    b"<Event>s3:ObjectRestore:*</Event><Event>s3:Replication:*</Event></TopicConfiguration>"
    b"<QueueConfiguration><Id>theirs &amp; only theirs</Id>"
    b"<Queue>arn:aws:sqs:us-east-1:1:theirs</Queue><Event>s3:ObjectCreated:Put</Event>"
    b"<Filter><S3Key><FilterRule><Name>Prefix</Name><Value>logs/ &lt;a&gt;</Value></FilterRule>"
    b"<FilterRule><Name>Suffix</Name><Value/></FilterRule></S3Key></Filter></QueueConfiguration>"
    b"<CloudFunctionConfiguration><Id>3gsync-function</Id>"
    b"<CloudFunction>arn:aws:lambda:us-east-1:1:function:f</CloudFunction>"
    b"<Event>s3:ObjectTagging:*</Event></CloudFunctionConfiguration>"
    b"<EventBridgeConfiguration/></NotificationConfiguration>"
)


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _one_reading_of_boto3_s_models() -> Iterator[None]:
    """Every session reads the descriptions of S3 and SQS anew, which takes longer than a test."""
    loader = botocore.session.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        yield


@pytest.fixture(scope="module")
def queues(aws: MotoAws) -> tuple[MotoAws, Any]:
    return aws, aws.sqs


@dataclass
class Told:
    """What a run said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


@dataclass
class Desk:
    """Somebody who runs the verb, on a store with one bucket and a queue."""

    store: Store
    aws: MotoAws
    sqs: Any
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    queue: str = ""
    waited: float = 0.0

    @property
    def bucket(self) -> Bucket:
        return self.store.buckets["source"]

    def new_queue(self, suffix: str = "", **attributes: str) -> str:
        name = f"jobs-{uuid4().hex[:12]}{suffix}"
        self.sqs.create_queue(QueueName=name, Attributes=attributes)
        self.monkeypatch.setenv("THREEGSYNC_SQS_QUEUE_NAME", name)
        self.queue = name
        return name

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{self.queue}"

    @property
    def url(self) -> str:
        return str(self.sqs.get_queue_url(QueueName=self.queue)["QueueUrl"])

    @property
    def policy(self) -> str:
        reply = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["Policy"])
        return str(reply.get("Attributes", {}).get("Policy", ""))

    def grant(self, bucket: str = "source") -> Grant:
        arn = f"arn:aws:s3:::{bucket}"
        return grant(self.policy, Sender(bucket_arn=arn, account=ACCOUNT, queue_arn=self.arn))

    def run(self, *words: str) -> Told:
        code = cli.main(["triggers", *words])
        said = self.capsys.readouterr()
        assert SECRET not in said.out + said.err
        return Told(code, said.out, said.err)

    def add(self, *words: str) -> Told:
        return self.run("add", "source", *words)

    def configured(self, name: str = "source") -> list[ET.Element]:
        return list(ET.fromstring(self.store.buckets[name].xml))

    def mine(self, name: str = "source") -> dict[str, list[str]]:
        """Our own configurations: events by prefix and suffix."""
        own = (e for e in self.configured(name) if e.tag == f"{NS}QueueConfiguration")
        return {
            " ".join(v.text or "" for v in e.iter(f"{NS}Value")): [
                event.text or "" for event in e.findall(f"{NS}Event")
            ]
            for e in own
            if str(e.findtext(f"{NS}Id")).startswith("3gsync-")
        }


@pytest.fixture
def store() -> Iterator[Store]:
    with notification_store() as running:
        running.buckets["source"] = Bucket()
        yield running


@pytest.fixture
def desk(
    store: Store,
    queues: tuple[MotoAws, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    for name in [name for name in os.environ if name.startswith(("AWS_", "THREEGSYNC_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_SQS": queues[0].endpoint,
        "SRC_AWS_ACCESS_KEY_ID": "AKIDTEST",
        "SRC_AWS_SECRET_ACCESS_KEY": SECRET,
        "THREEGSYNC_CONFIG": os.devnull,
        "THREEGSYNC_JOBTYPE": "ENV",
        "THREEGSYNC_SRCENDPOINTURL": store.endpoint,
        "THREEGSYNC_SRCDIALECT": "aws",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    made = Desk(store, *queues, monkeypatch, capsys)

    def wait(seconds: float) -> None:
        made.waited += seconds

    monkeypatch.setattr(trigger_change, "sleep", wait)
    made.new_queue()
    return made


@pytest.fixture
def ready(desk: Desk) -> Desk:
    """Other people have notifications, and the queue's policy lets S3 send for ``source``."""
    sender = Sender(bucket_arn="arn:aws:s3:::source", account=ACCOUNT, queue_arn=desk.arn)
    desk.sqs.set_queue_attributes(QueueUrl=desk.url, Attributes={"Policy": merged("", sender)})
    desk.bucket.xml = OTHERS
    return desk


def outlines(entries: list[ET.Element]) -> list[str]:
    """Each configuration as text, but for the capitals of rules' names."""
    return sorted(
        ET.canonicalize(ET.tostring(e))
        .replace(">prefix<", ">Prefix<")
        .replace(">suffix<", ">Suffix<")
        for e in entries
    )


# --- adding ---------------------------------------------------------------------------


def test_others_are_kept_byte_for_byte(ready: Desk) -> None:
    told = ready.add("--prefix", "photos/", "--prefix", "y=1/a b", "--suffix", ".jpg", "--yes")
    assert told.code == 0
    assert "1 lambda, 1 queue, 1 topic, EventBridge" in told.out
    assert ready.mine() == {
        "photos/ .jpg": ["s3:ObjectCreated:*"],
        "y%3D1/a+b .jpg": ["s3:ObjectCreated:*"],
    }
    kept = [e for e in ready.configured() if "/photos" not in (e.findtext(f"{NS}Queue") or "")]
    kept = [e for e in kept if not str(e.findtext(f"{NS}Queue")).endswith(ready.queue)]
    assert outlines(kept) == outlines(list(ET.fromstring(OTHERS)))
    assert not ready.bucket.skipped_validation


def test_running_it_again_writes_nothing(ready: Desk) -> None:
    ready.add("--prefix", "photos/", "--yes")
    told = ready.add("--prefix", "photos/")
    assert (told.code, ready.bucket.puts) == (0, 1)
    assert "nothing to change" in told.out


def test_deletes_come_with_the_configuration_or_the_option(ready: Desk) -> None:
    removed = ["s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]
    ready.add("--prefix", "photos/", "--deletes", "--yes")
    assert ready.mine() == {"photos/": ["s3:ObjectCreated:*", *removed]}
    ready.add("--prefix", "photos/", "--yes")
    assert ready.mine() == {"photos/": ["s3:ObjectCreated:*"]}
    ready.monkeypatch.setenv("THREEGSYNC_SYNCDELETES", "True")
    told = ready.add("--prefix", "photos/", "--yes", "--json")
    assert ready.mine() == {"photos/": ["s3:ObjectCreated:*", *removed]}
    assert told.json["buckets"][0]["changed"][0]["to"]["events"][1:] == removed
    assert ready.add("--prefix", "photos/", "--no-deletes", "--yes").code == 0
    assert ready.mine() == {"photos/": ["s3:ObjectCreated:*"]}


def test_a_dry_run_shows_and_writes_nothing(ready: Desk) -> None:
    told = ready.add("--prefix", "photos/", "--dry-run", "--json")
    assert (told.code, ready.bucket.puts, ready.bucket.xml) == (0, 0, OTHERS)
    assert "+ 3gsync-" in told.out
    assert told.json["dry_run"] is True
    assert told.json["written"] == []
    assert told.json["buckets"][0]["added"][0]["prefix"] == "photos/"


def test_without_a_terminal_it_asks_nothing_and_writes_nothing(ready: Desk) -> None:
    told = ready.add("--prefix", "photos/")
    assert (told.code, ready.bucket.puts) == (2, 0)
    assert "--yes" in told.err


@pytest.mark.parametrize(("answer", "puts"), [("y", 1), ("YES", 1), ("", 0), ("n", 0), (None, 0)])
def test_at_a_terminal_it_asks(ready: Desk, answer: str | None, puts: int) -> None:
    def ask(_: str) -> str:
        if answer is None:
            raise EOFError
        return answer

    ready.monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ready.monkeypatch.setattr("builtins.input", ask)
    told = ready.add("--prefix", "photos/")
    assert (told.code, ready.bucket.puts) == (1 - puts, puts)


def test_overlaps_are_refused_before_anything_is_written(ready: Desk) -> None:
    told = ready.add("--all-keys", "--yes")
    assert (told.code, ready.bucket.puts) == (2, 0)
    assert "all keys overlaps prefix 'logs/ <a>' of theirs & only theirs" in told.err


def test_a_list_file_and_two_buckets(ready: Desk, tmp_path: Path) -> None:
    ready.store.buckets["another"] = Bucket()
    (tmp_path / "prefix_list.txt").write_text("# all\nphotos/\n\n[another]\ndocs/\t.pdf\n")
    told = ready.run("add", "source", "another", "--set-queue-policy", "--yes", "--json")
    assert told.code == 0, told.err
    assert told.json["written"] == ["source", "another"]
    assert set(ready.mine("source")) == {"photos/"}
    assert set(ready.mine("another")) == {"photos/", "docs/ .pdf"}
    assert ready.grant("another") is ready.grant() is Grant.GRANTED


def test_one_bucket_that_fails_does_not_keep_the_others(ready: Desk) -> None:
    ready.store.buckets["another"] = Bucket()
    ready.store.refusals = [Refused(403, "AccessDenied", "Access Denied")]
    told = ready.run(
        "add", "source", "another", "--prefix", "a/", "--set-queue-policy", "--yes", "--json"
    )
    assert told.code == 1
    assert told.json["written"] == ["another"]
    assert "allow s3:PutBucketNotification" in told.json["errors"]["source"]
    assert "allow s3:PutBucketNotification" in told.err


def test_replace_is_one_put(ready: Desk) -> None:
    ready.add("--prefix", "photos/", "--prefix", "docs/", "--yes")
    ready.bucket.puts = 0
    assert ready.add("--prefix", "p", "--prefix", "docs/", "--replace", "--yes").code == 0
    assert (set(ready.mine()), ready.bucket.puts) == ({"p", "docs/"}, 1)


def test_other_stores_get_their_filters_plain(ready: Desk) -> None:
    ready.add("--prefix", "y=1/", "--filters", "plain", "--yes")
    ready.monkeypatch.setenv("THREEGSYNC_SRCDIALECT", "generic")
    ready.add("--prefix", "x=1/", "--yes")
    ready.add("--prefix", "z=1/", "--filters", "encoded", "--yes")
    assert set(ready.mine()) == {"y=1/", "x=1/", "z%3D1/"}


# --- other people's changes at the same time ------------------------------------------


def changed(bucket: Bucket) -> None:
    bucket.xml = OTHERS.replace(b"<EventBridgeConfiguration/>", b"")


def test_a_change_before_the_put_is_told_and_nothing_is_written(ready: Desk) -> None:
    ready.store.after_get = changed
    told = ready.add("--prefix", "photos/", "--yes")
    assert (told.code, ready.bucket.puts) == (1, 0)
    assert "changed meanwhile (missing: EventBridge); nothing was written" in told.err


def test_a_change_after_the_put_is_told(ready: Desk) -> None:
    ready.store.after_put = changed
    told = ready.add("--prefix", "photos/", "--yes")
    assert (told.code, ready.bucket.puts) == (1, 1)
    assert "was written, but what is there now is something else" in told.err
    assert "missing: EventBridge; missing: queue 3gsync-" in told.err


def test_a_store_that_answers_with_the_old_for_a_while_is_waited_for(ready: Desk) -> None:
    new: list[bytes] = []

    def hide(bucket: Bucket) -> None:
        new.append(bucket.xml)
        bucket.xml, bucket.gets = OTHERS, 0

    def reveal(bucket: Bucket) -> None:
        if new and bucket.gets == 2:
            bucket.xml = new[0]

    ready.store.after_put, ready.store.after_get = hide, reveal
    assert ready.add("--prefix", "photos/", "--yes").code == 0
    assert ready.waited == 3.0


def test_what_boto3_would_drop_is_not_written(ready: Desk) -> None:
    ready.bucket.xml = OTHERS.replace(
        b"<EventBridgeC", b"<NewKind><Id>n</Id></NewKind><EventBridgeC"
    )
    told = ready.add("--prefix", "photos/", "--yes")
    assert (told.code, ready.bucket.puts) == (1, 0)
    assert "hold NewKind" in told.err
    assert ready.run("list", "source").code == 0


# --- the queue ------------------------------------------------------------------------


def test_a_policy_that_does_not_let_s3_in_is_told_with_the_statement(desk: Desk) -> None:
    told = desk.add("--prefix", "photos/", "--yes")
    assert (told.code, desk.bucket.puts, desk.policy) == (2, 0, "")
    assert "run again with --set-queue-policy" in told.err
    statement = json.loads(told.out[told.out.index("{") :])
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    desk.sqs.set_queue_attributes(QueueUrl=desk.url, Attributes={"Policy": text})
    assert desk.grant() is Grant.GRANTED
    assert desk.add("--prefix", "photos/", "--yes").code == 0


def test_setting_the_policy_keeps_its_other_statements(desk: Desk) -> None:
    theirs = {
        "Sid": "theirs",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": "sqs:ReceiveMessage",
        "Resource": "*",
    }
    desk.new_queue(Policy=json.dumps({"Version": "2012-10-17", "Id": "i", "Statement": [theirs]}))
    told = desk.add("--prefix", "photos/", "--set-queue-policy", "--dry-run")
    assert told.code == 0
    assert len(json.loads(desk.policy)["Statement"]) == 1
    assert desk.add("--prefix", "photos/", "--set-queue-policy", "--yes").code == 0
    assert json.loads(desk.policy)["Statement"][0] == theirs
    assert json.loads(desk.policy)["Id"] == "i"
    assert desk.grant() is Grant.GRANTED
    before = desk.policy
    assert "nothing to change" in desk.add("--prefix", "photos/", "--set-queue-policy").out
    assert desk.policy == before


def test_s3_is_asked_again_until_it_knows_the_new_policy(desk: Desk) -> None:
    detail = "<ArgumentName1>the queue</ArgumentName1><ArgumentValue1>null</ArgumentValue1>"
    text = "Unable to validate the following destination configurations"
    desk.store.refusals = [Refused(400, "InvalidArgument", text, detail)] * 3
    assert desk.add("--prefix", "photos/", "--set-queue-policy", "--yes").code == 0
    assert desk.waited == 15.0
    desk.store.refusals = [Refused(400, "InvalidArgument", text, detail)]
    told = desk.add("--prefix", "docs/", "--yes")
    assert told.code == 1
    assert "(the queue: null)" in told.err
    assert "--skip-destination-validation" in told.err
    assert desk.add("--prefix", "docs/", "--skip-destination-validation", "--yes").code == 0
    assert desk.bucket.skipped_validation


def test_a_fifo_queue_is_refused(desk: Desk) -> None:
    desk.new_queue(".fifo", FifoQueue="true")
    told = desk.add("--prefix", "a/", "--set-queue-policy", "--yes")
    assert (told.code, desk.bucket.puts, desk.policy) == (2, 0, "")
    assert "is a FIFO queue, which S3 does not send to" in told.err


def test_a_queue_of_another_region_is_refused(ready: Desk) -> None:
    ready.bucket.region = "eu-west-1"
    told = ready.add("--prefix", "a/", "--yes")
    assert (told.code, ready.bucket.puts) == (2, 0)
    assert "is in eu-west-1, the queue in us-east-1" in told.err


@pytest.mark.parametrize("key", ["alias/aws/sqs", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/aws/sqs"])
def test_a_queue_with_amazon_s_own_kms_key_is_refused(desk: Desk, key: str) -> None:
    desk.new_queue(KmsMasterKeyId=key)
    told = desk.add("--prefix", "a/", "--set-queue-policy", "--yes")
    assert (told.code, desk.bucket.puts) == (2, 0)
    assert "a key whose policy cannot let S3 in" in told.err


def test_a_queue_with_a_key_of_one_s_own_is_a_warning(desk: Desk) -> None:
    desk.new_queue(KmsMasterKeyId="alias/mine")
    told = desk.add("--prefix", "a/", "--set-queue-policy", "--yes", "--json")
    assert told.code == 0
    assert "kms:GenerateDataKey" in told.json["warnings"][0]


def test_a_loose_policy_is_a_warning_and_a_deny_is_not(desk: Desk) -> None:
    loose = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    desk.new_queue(Policy=json.dumps({"Version": "2012-10-17", "Statement": [loose]}))
    told = desk.add("--prefix", "a/", "--yes")
    assert told.code == 0
    assert "warning: queue" in told.out
    assert "lets S3 send for others too" in told.out
    assert '"aws:SourceAccount"' in told.out
    deny = loose | {"Effect": "Deny"}
    desk.new_queue(Policy=json.dumps({"Version": "2012-10-17", "Statement": [loose, deny]}))
    told = desk.add("--prefix", "b/", "--yes")
    assert (told.code, set(desk.mine())) == (2, {"a/"})
    assert "denies S3" in told.err


def test_a_bucket_of_another_account_needs_its_owner_s_number(desk: Desk) -> None:
    desk.bucket.owner = "999999999999"
    told = desk.add("--prefix", "a/", "--set-queue-policy", "--yes")
    assert (told.code, desk.bucket.puts) == (2, 0)
    assert "name its account with --bucket-owner" in told.err
    words = ("--prefix", "a/", "--set-queue-policy", "--yes", "--bucket-owner")
    assert desk.add(*words, "111111111111").code == 1
    assert desk.add(*words, "999999999999").code == 0
    assert json.loads(desk.policy)["Statement"][0]["Condition"]["StringEquals"] == {
        "aws:SourceAccount": "999999999999"
    }


def test_the_queue_by_arn_and_by_url(ready: Desk) -> None:
    queue, url = ready.queue, ready.url
    ready.monkeypatch.setenv("THREEGSYNC_SQS_QUEUE_NAME", "none")
    for number, name in enumerate((queue, url, ready.arn)):
        assert ready.add("--prefix", f"{number}/", "--queue", name, "--yes").code == 0
    assert set(ready.mine()) == {"0/", "1/", "2/"}


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("--queue", "none-such"), 1, "queue none-such: SQS GetQueueUrl"),
        (("--queue", "arn:aws:s3:::x"), 2, "is no queue ARN"),
        (("--queue", "a,b"), 2, "name one queue with --queue"),
        (("--prefix-list", "none"), 2, "does not go with"),
        (("--bucket-owner", "me"), 2, "an account has 12 digits"),
    ],
)
def test_wrong_use(desk: Desk, words: tuple[str, ...], code: int, part: str) -> None:
    told = desk.add("--prefix", "a/", "--yes", *words)
    assert (told.code, desk.bucket.puts) == (code, 0)
    assert part in told.err


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_other_partitions(desk: Desk, region: str, partition: str) -> None:
    desk.monkeypatch.setenv("AWS_REGION", region)
    sqs = boto3.Session("a", "b", region_name=region).client("sqs", endpoint_url=desk.aws.endpoint)
    url = sqs.create_queue(QueueName=desk.queue)["QueueUrl"]
    desk.bucket.region = region
    told = desk.add("--prefix", "a/", "--set-queue-policy", "--yes", "--json")
    assert told.code == 0, told.err
    assert told.json["queue"] == f"arn:{partition}:sqs:{region}:{ACCOUNT}:{desk.queue}"
    reply = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    (statement,) = json.loads(reply["Attributes"]["Policy"])["Statement"]
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": f"arn:{partition}:s3:::source"}
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}


def test_amazon_s_own_endpoint_is_left_to_boto3_and_its_variables(ready: Desk) -> None:
    for name in ("THREEGSYNC_SRCENDPOINTURL", "THREEGSYNC_SRCDIALECT"):
        ready.monkeypatch.delenv(name)
    ready.monkeypatch.setenv("AWS_ENDPOINT_URL_S3", ready.store.endpoint)
    assert ready.add("--prefix", "y=1/", "--yes").code == 0
    assert set(ready.mine()) == {"y%3D1/"}


def test_a_profile_takes_the_place_of_the_keys(ready: Desk, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(
        f"[admin]\naws_access_key_id = A\naws_secret_access_key = {SECRET}\nregion = us-east-1\n"
    )
    ready.monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    ready.monkeypatch.setenv("THREEGSYNC_JOBTYPE", "GET")
    assert ready.add("--prefix", "a/", "--yes").code == 2
    assert ready.add("--prefix", "a/", "--profile", "admin", "--yes").code == 0
    assert ready.add("--prefix", "a/", "--profile", "none").code == 2


# --- looking and removing -------------------------------------------------------------


def test_list_shows_all_and_whose_they_are(ready: Desk) -> None:
    ready.add("--prefix", "photos/", "--yes")
    ready.store.buckets["empty"] = Bucket()
    told = ready.run("list", "source", "empty", "none", "--json")
    assert told.code == 1
    assert "bucket none: there is none" in told.err
    source, empty = told.json["buckets"]
    assert source["event_bridge"] is True
    assert {(c["kind"], c["mine"], c["prefix"]) for c in source["configurations"]} == {
        ("queue", True, "photos/"),
        ("queue", False, "logs/ <a>"),
        ("topic", False, ""),
        ("lambda", False, ""),
    }
    assert (empty["event_bridge"], empty["configurations"]) == (False, [])
    rows = [line for line in told.out.splitlines() if line.startswith(("mine", "others"))]
    assert sorted(row.split()[0] for row in rows) == ["mine", "others", "others", "others"]
    assert any(ready.arn in row and "photos/" in row for row in rows)


def test_remove_takes_ours_by_prefix_and_all(ready: Desk) -> None:
    ready.add("--prefix", "photos/", "--prefix", "y=1/", "--prefix", "docs/", "--yes")
    ready.bucket.puts = 0
    assert ready.run("remove", "source", "--prefix", "y=1/", "--dry-run").code == 0
    assert ready.run("remove", "source", "--prefix", "y=1/").code == 2
    assert ready.bucket.puts == 0
    assert ready.run("remove", "source", "--prefix", "y=1/", "--yes").code == 0
    assert set(ready.mine()) == {"photos/", "docs/"}
    told = ready.run("remove", "source", "--all", "--yes", "--json")
    assert len(told.json["buckets"][0]["removed"]) == 2
    assert outlines(ready.configured()) == outlines(list(ET.fromstring(OTHERS)))
    assert ready.run("remove", "source", "--all").code == 0


def test_remove_by_suffix_and_of_all_keys(desk: Desk) -> None:
    assert desk.add("--suffix", ".a", "--set-queue-policy", "--yes").code == 0
    desk.add("--prefix", "p/", "--suffix", ".b", "--yes")
    assert desk.run("remove", "source", "--all-keys", "--yes").code == 2
    assert desk.run("remove", "source", "--prefix", "p/", "--suffix", ".a", "--yes").code == 2
    assert set(desk.mine()) == {".a", "p/ .b"}
    assert desk.run("remove", "source", "--suffix", ".b", "--yes").code == 0
    assert set(desk.mine()) == {".a"}
    assert desk.add("--all-keys", "--replace", "--yes").code == 0
    assert desk.run("remove", "source", "--all-keys", "--yes").code == 0
    assert desk.mine() == {}


@pytest.mark.parametrize(
    "words",
    [
        ("source",),
        ("--all",),
        ("source", "--all", "--prefix", "a"),
        ("source", "--prefix", ""),
        ("source", "--prefix", "logs/ <a>"),
    ],
)
def test_remove_says_what_it_needs_and_never_takes_others(
    ready: Desk, words: tuple[str, ...]
) -> None:
    told = ready.run("remove", *words, "--yes")
    assert (told.code, ready.bucket.puts) == (2, 0)
    assert told.err


# --- as scripts, and on a server of somebody else's -------------------------------------


def test_the_scripts_run_from_any_folder(ready: Desk, tmp_path: Path) -> None:
    def script(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(TOOLS / name), *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    empty = script("add_triggers.py", "source", "--yes")
    assert empty.returncode == 2
    assert "has no prefix in it" in empty.stderr
    added = script("add_triggers.py", "source", "--prefix", "photos/", "--yes")
    assert added.returncode == 0, added.stderr
    listed = script("list_triggers.py", "source")
    assert "photos/" in listed.stdout
    assert set(ready.mine()) == {"photos/"}


def test_moto_sends_what_the_triggers_say(desk: Desk) -> None:
    """Another server than ours takes the configuration, and objects become messages."""
    desk.monkeypatch.setenv("THREEGSYNC_SRCENDPOINTURL", desk.aws.endpoint)
    s3 = boto3.Session("a", "b", region_name="us-east-1").client(
        "s3", endpoint_url=desk.aws.endpoint
    )
    make_bucket(s3, "source")
    told = desk.add("--prefix", "photos/", "--suffix", ".jpg", "--set-queue-policy", "--yes")
    assert told.code == 0, told.err
    for key in ("photos/a.jpg", "photos/a.png", "docs/a.jpg"):
        s3.put_object(Bucket="source", Key=key, Body=b"x")
    reply = desk.sqs.receive_message(QueueUrl=desk.url, MaxNumberOfMessages=10)
    messages = reply.get("Messages", [])
    bodies = [json.loads(message["Body"]) for message in messages]
    assert [body["Event"] for body in bodies if "Event" in body] == ["s3:TestEvent"]
    (event,) = [body["Records"][0] for body in bodies if "Records" in body]
    assert event["s3"]["object"]["key"] in {"photos/a.jpg", "photos%2Fa.jpg"}
    assert event["s3"]["configurationId"].startswith("3gsync-")
    assert desk.run("remove", "source", "--all", "--yes").code == 0
    assert desk.run("list", "source", "--json").json["buckets"][0]["configurations"] == []
