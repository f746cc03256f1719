"""Everything 3GSync does, done once in this process while its requests are recorded.

Each act says whose keys did it, and which files of deploy/ those keys have.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.inventories import Item, s3_inventory
from support.moto_aws import MotoAws
from support.needed_permissions import ACCOUNT, REGION
from support.notification_store import Bucket, notification_store
from support.recorded_calls import Sent, recording
from support.rig import MIB, Queue, Rig, Side, noise
from support.servers import S3Server
from sync import cli
from sync.standins.secretmanager import SecretManager

SECRET = "projects/p/secrets/s3_migration_credentials"
WORKER = ("aws/worker-policy.json",)
S3_TARGET = ("aws/destination-policy.json",)
GCS_TARGET = ("gcp/destination-role.yaml",)
_SIGNERS = {"source": "AKIASOURCE", "destination": "AKIADESTINATION"}


@dataclass(frozen=True)
class Act:
    """What was sent while one thing was done. ``files``: policies of the source's and of the
    destination's keys, and those of the machine itself.
    """

    name: str
    sent: Sequence[Sent]
    files: Mapping[str, Sequence[str]]
    names: Mapping[str, str]


@dataclass
class Servers:
    """What the acts play on."""

    moto: S3Server
    gcs: S3Server
    aws: MotoAws
    folder: Path
    acts: list[Act] = field(default_factory=list)
    cloud_storage: set[str] = field(default_factory=set)
    _number: int = 0

    @contextmanager
    def scene(self, *, target: str = "gcs", **options: object) -> Iterator[Scene]:
        """Fresh buckets (the source at moto), queue and table."""
        self._number += 1
        folder = self.folder / f"scene-{self._number}"
        folder.mkdir()
        where = Side(self.gcs, "gcs") if target == "gcs" else Side(self.moto, "aws")
        rig = Rig(
            source=Side(self.moto, "aws"), target=where, queue=Queue(self.aws, dead_letter=True),
            aws=self.aws, folder=folder, ledger=True, options=options,
        )  # fmt: skip
        if target == "gcs":
            self.cloud_storage |= {_authority(url) for url in (self.gcs.endpoint, where.proxy.url)}
        yield Scene(self, rig)
        rig.close()


def _operator(what: str) -> Sequence[str]:
    """Only what the operator's policy has for this."""
    return (f"aws/operator-policy.json#OnlyFor{what}",)


class Scene:
    """One rig, and the verbs of the console command on it."""

    def __init__(self, servers: Servers, rig: Rig) -> None:
        self.servers, self.rig = servers, rig
        rig.options |= {
            "SrcEndPointURL": rig.source.server.endpoint,
            "DestEndPointURL": rig.target.server.endpoint,
            "AddressingStyle": "path",
            "ReceiveWait": 0,
            "LateWriteGrace": 0,
            "LoggingLevel": "ERROR",
        }
        pairs = {"source": rig.source.server, "destination": rig.target.server}
        for side, prefix in (("source", "SRC_"), ("destination", "DEST_")):
            if pairs[side].checks_signatures:
                continue
            rig.environ[f"{prefix}AWS_ACCESS_KEY_ID"] = _SIGNERS[side]
        rig.environ["AWS_ENDPOINT_URL_SQS"] = servers.aws.endpoint
        self.extra: dict[str, str] = {}

    @property
    def names(self) -> dict[str, str]:
        """The placeholders of the policy files, and what they are here."""
        rig = self.rig
        return {
            "SOURCE_BUCKET": rig.source.bucket,
            "DESTINATION_BUCKET": rig.target.bucket,
            "DEAD_LETTER_QUEUE": f"{rig.queue.name}-dead",
            "QUEUE": rig.queue.name,
            "TABLE": rig.table,
            "REGION": REGION,
            "ACCOUNT": ACCOUNT,
            "PROJECT": "p",
            **self.extra,
        }

    def run(
        self,
        name: str,
        *words: str,
        code: int = 0,
        source: Sequence[str] = (),
        destination: Sequence[str] = (),
        machine: Sequence[str] = (),
    ) -> None:
        """Run a verb and keep what it sent; the rest says which policies whose keys have."""
        files = {"source": source, "destination": destination, "machine": machine}
        config = str(self.rig.write_config())
        with pytest.MonkeyPatch.context() as patch, recording() as made:
            patch.setattr(os, "environ", dict(self.rig.environ))
            patch.setattr("sync.worker.rest_the_collector", lambda: None)
            for tool in ("redrive", "peek"):  # moto answers for the whole queue
                patch.setattr(f"sync.engine.tools.{tool}._WAIT", 0.0)
            patch.chdir(self.rig.folder)
            found = cli.main([*words, "--config", config])
            for logger in (logging.getLogger("3gsync"), logging.getLogger("sync")):
                logger.handlers.clear()
        assert found == code, f"{name}: exit code {found}"
        assert made.sent, name
        self.servers.acts.append(Act(name, made.sent, files, self.names))

    def work(
        self,
        name: str,
        *,
        code: int = 0,
        source: Sequence[str] = WORKER,
        destination: Sequence[str] = GCS_TARGET,
        machine: Sequence[str] = (),
    ) -> None:
        """Run a worker until the queue is empty."""
        self.run(
            name, "worker", "--until-empty", "--processes", "1",
            code=code, source=source, destination=destination, machine=machine,
        )  # fmt: skip


def _authority(url: str) -> str:
    return urlsplit(url).netloc


def _plain_worker(servers: Servers) -> None:
    with servers.scene(SyncDeletes=True, ifVerifyMD5Twice=True, MaxReceives=1) as scene:
        rig = scene.rig
        rig.put("small", b"one")
        rig.put("large", noise(7 * MIB))
        rig.target.put("large", b"older")
        rig.target.boto.create_multipart_upload(Bucket=rig.target.bucket, Key="large")
        rig.target.put("deleted", b"x")
        rig.tell("deleted", name="ObjectRemoved:Delete")
        rig.tell("never-was-there")
        rig.queue.send("nobody can read this")
        scene.work("worker", code=1)
        rig.options["CleanUnfinishedUpload"] = True
        rig.put("large", noise(7 * MIB))
        rig.target.boto.create_multipart_upload(Bucket=rig.target.bucket, Key="large")
        scene.work("worker that cleans up")
        rig.options["TransferMode"] = "check"
        rig.target.put("small", b"different")
        rig.tell("small", "large")
        scene.work("worker in mode check", code=1)
        rig.options |= {"TransferMode": "downup", "IncludeDeadQueue": "only"}
        dead = (*WORKER, "aws/dead-queue-policy.json")
        scene.work("worker on the dead-letter queue", code=1, source=dead)


def _resuming(servers: Servers) -> None:
    """A worker whose Complete is refused leaves its upload to the next."""
    for target, files in (("gcs", GCS_TARGET), ("moto", S3_TARGET)):
        with servers.scene(target=target, MaxRetry=1, MaxReceives=1, SyncDeletes=True) as scene:
            rig = scene.rig
            rig.options["DestEndPointURL"] = rig.target.proxy.url
            rig.put("large", noise(7 * MIB))
            refusal = rig.target.proxy.refuse(r"^POST .*uploadId=", 503, "SlowDown")
            scene.work("worker that is interrupted", code=1, destination=files)
            refusal.on = False
            rig.options["MaxReceives"] = 12
            rig.options["DestEndPointURL"] = rig.target.server.endpoint
            rig.tell("large")
            rig.target.put("gone", b"x")
            rig.tell("gone", name="ObjectRemoved:Delete")
            scene.work("worker that resumes", destination=files)
            rig.options |= {"CleanUnfinishedUpload": True, "ifVerifyMD5Twice": True}
            rig.options["VerifyBeforeCopy"] = True
            rig.target.boto.create_multipart_upload(Bucket=rig.target.bucket, Key="other")
            rig.put("other", noise(7 * MIB))
            scene.work("worker that aborts and verifies", destination=files)


def _versions_and_tags(servers: Servers) -> None:
    tags = (*WORKER, "aws/tags-policy.json")
    target = (*S3_TARGET, "aws/destination-tags-policy.json")
    with servers.scene(target="moto", CopyTags=True) as scene:
        rig = scene.rig
        rig.put("tagged", b"x", Tagging="a=1")
        rig.put("untagged", b"x", Tagging="a=1")
        rig.put("large", noise(7 * MIB), Tagging="a=1")
        scene.work("worker with tags", source=tags, destination=target)
        rig.options["VerifyBeforeCopy"] = True
        named = {"Bucket": rig.source.bucket}
        changed = {"TagSet": [{"Key": "a", "Value": "2"}]}
        rig.source.boto.put_object_tagging(Key="tagged", Tagging=changed, **named)
        rig.source.boto.delete_object_tagging(Key="untagged", **named)
        rig.tell("tagged", "untagged")
        scene.work("worker that sets tags alone", source=tags, destination=target)
        rig.source.keep_versions()
        rig.put("tagged", b"y", Tagging="a=3")
        rig.put("large", noise(7 * MIB), Tagging="a=1")
        rig.options["GetObjectWithVersionId"] = True
        versions = (*tags, "aws/by-version-policy.json")
        scene.work("worker by version", source=versions, destination=target)


def _server_copies(servers: Servers) -> None:
    copying = (*S3_TARGET, "aws/server-copy-policy.json", "aws/destination-tags-policy.json")
    by_version = (*WORKER, "aws/tags-policy.json", "aws/by-version-policy.json")
    with servers.scene(target="moto", TransferMode="copy", CopyTags=True) as scene:
        rig = scene.rig
        rig.put("small", b"x", Tagging="a=1")
        rig.put("large", noise(12 * MIB))
        scene.work(
            "worker in mode copy", source=(*WORKER, "aws/tags-policy.json"), destination=copying
        )
        rig.source.keep_versions()
        rig.options["GetObjectWithVersionId"] = True
        rig.put("small", b"y")
        rig.put("large", noise(12 * MIB))
        scene.work("worker in mode copy by version", source=by_version, destination=copying)


def _stored_keys(servers: Servers) -> None:
    with servers.scene() as scene:
        rig = scene.rig
        rig.environ["AWS_ENDPOINT_URL_SSM"] = rig.store_destination_key()
        rig.environ |= {"AWS_ACCESS_KEY_ID": _SIGNERS["source"], "AWS_SECRET_ACCESS_KEY": "none"}
        scene.extra["s3_migration_credentials"] = str(rig.options["ssm_parameter_credentials"])
        rig.options["JobType"] = "PUT"
        rig.put("small", b"x")
        scene.work("worker, keys from SSM", source=(*WORKER, "aws/ssm-policy.json"))
    with servers.scene() as scene, SecretManager() as secrets:
        rig = scene.rig
        pairs = {"source": rig.source.server, "destination": rig.target.server}
        sides = {
            name: {
                "aws_access_key_id": one.access_key if one.checks_signatures else _SIGNERS[name],
                "aws_secret_access_key": one.secret_key,
                "region": REGION,
            }
            for name, one in pairs.items()
        }
        secrets.add_version(SECRET, json.dumps(sides).encode())
        rig.options |= {
            "JobType": "GET",
            "ssm_parameter_credentials": f"{SECRET}/versions/latest",
        }
        rig.environ["SECRETMANAGER_EMULATOR_HOST"] = secrets.address
        rig.put("small", b"x")
        scene.work("worker, keys from Secret Manager", machine=("gcp/secret-role.yaml",))


def _config_check(servers: Servers) -> None:
    for target, files in (("gcs", GCS_TARGET), ("moto", S3_TARGET)):
        with servers.scene(target=target, SyncDeletes=True) as scene:
            scene.rig.source.put("any", b"x")
            words = ("config", "check", "--online", "--source-bucket", scene.rig.source.bucket)
            # moto accepts a wrong Content-MD5, which the check finds.
            code = 0 if target == "gcs" else 1
            scene.run("config check", *words, code=code, source=WORKER, destination=files)


def _jobsender(servers: Servers) -> None:
    keys = ("aws/jobsender-policy.json",)
    with servers.scene() as scene:
        rig = scene.rig
        rig.source.keep_versions()
        for key in ("same", "missing"):
            rig.source.put(key, b"x")
        rig.target.put("same", b"x")
        pair = ("--source-bucket", rig.source.bucket, "--destination-bucket", rig.target.bucket)
        reader: dict[str, Any] = {"source": keys, "destination": ("gcp/reader-role.yaml",)}
        scene.run("jobsender", "jobsender", *pair, **reader)
        scene.run("jobsender --checksum", "jobsender", *pair, "--checksum", **reader)
        rig.target.put("extra", b"x")
        scene.run(
            "jobsender that deletes", "jobsender", *pair, "--delete-extraneous", "5",
            source=keys, destination=GCS_TARGET,
        )  # fmt: skip
        rig.options["JobsenderCompareVersionId"] = True
        scene.run("jobsender, versions", "jobsender", *pair, **reader)
        _bucket_list(scene)
        scene.run("jobsender, its list from SSM", "jobsender", "--dry-run", **reader)


def _bucket_list(scene: Scene) -> None:
    rig = scene.rig
    name = f"bucket-{rig.queue.name}"
    listed = [{"src_bucket": rig.source.bucket, "des_bucket": rig.target.bucket}]
    endpoint = scene.servers.aws.endpoint
    ssm = scene.servers.aws._session().client("ssm", endpoint_url=endpoint)
    ssm.put_parameter(Name=name, Value=json.dumps(listed), Type="String")
    rig.options["ssm_parameter_bucket"] = name
    scene.extra["s3_migration_bucket_para"] = name
    rig.environ |= {
        "AWS_ENDPOINT_URL_SSM": endpoint,
        "AWS_ACCESS_KEY_ID": _SIGNERS["source"],
        "AWS_SECRET_ACCESS_KEY": "none",
    }


def _check(servers: Servers) -> None:
    keys = ("aws/check-policy.json",)
    for target, files in (("gcs", ("gcp/reader-role.yaml",)), ("moto", keys)):
        with servers.scene(target=target) as scene:
            rig = scene.rig
            for key in ("same", "damaged"):
                rig.source.put(key, b"content")
            rig.put("large", noise(7 * MIB))
            scene.work(
                "worker, for the check", destination=GCS_TARGET if target == "gcs" else S3_TARGET
            )
            rig.target.put("same", b"content")
            rig.target.put("damaged", b"cOntent")
            pair = ("--source-bucket", rig.source.bucket, "--settle", "0")
            both: dict[str, Any] = {"source": keys, "destination": files}
            scene.run("check", "check", *pair, **both)
            looks = (*pair, "--checksum", "--read", "--repair")
            scene.run("check that looks closer", "check", *looks, code=3, **both)


def _inventory(servers: Servers) -> None:
    with servers.scene() as scene:
        rig = scene.rig
        scene.extra["INVENTORY_BUCKET"] = rig.source.bucket
        made = s3_inventory("CSV", [Item("a")])
        made.describe({"destinationBucket": f"arn:aws:s3:::{rig.source.bucket}"})
        for key, data in made.objects.items():
            rig.source.put(key, data)
        (manifest,) = [key for key in made.objects if key.endswith("manifest.json")]
        folder = manifest.rsplit("/", 2)[0]
        words = ("inventory", "send", f"s3://{rig.source.bucket}/{folder}/")
        scene.run("inventory send", *words, source=("aws/inventory-policy.json",))


def _triggers(servers: Servers) -> None:
    with servers.scene() as scene, notification_store() as store:
        rig = scene.rig
        store.buckets[rig.source.bucket] = Bucket()
        rig.options["SrcEndPointURL"] = store.endpoint
        keys = ("aws/triggers-policy.json",)
        bucket = rig.source.bucket
        add = ("add", bucket, "--all-keys", "--set-queue-policy", "--yes")
        for words in (add, ("list", bucket), ("remove", bucket, "--all", "--yes")):
            scene.run(f"triggers {words[0]}", "triggers", *words, source=keys)


def _queue_tools(servers: Servers) -> None:
    with servers.scene() as scene:
        rig = scene.rig
        rig.tell("large")
        rig.queue.bury(rig.event("large"))
        scene.run("queue stats", "queue", "stats", source=_operator("Nothing"))
        for dead in ([], ["--dead"]):
            scene.run("queue peek", "queue", "peek", *dead, source=_operator("QueuePeek"))
        rig.queue.bury(rig.event("other"))
        redrive = ("redrive", "--key", "large")
        scene.run("queue redrive", "queue", *redrive, source=_operator("QueueRedrive"))
        for dead in ([], ["--dead"]):
            name = rig.queue.name + ("-dead" if dead else "")
            words = ("purge", *dead, "--yes", name)
            scene.run("queue purge", "queue", *words, source=_operator("QueuePurge"))


def _ledger(servers: Servers) -> None:
    with servers.scene() as scene:
        scene.rig.put("one", b"1")
        scene.work("worker, for the ledger")
        for words in (("all",), ("show", f"{scene.rig.source.bucket}/one")):
            scene.run(f"ledger {words[0]}", "ledger", *words, source=_operator("Ledger"))


def _uploads(servers: Servers) -> None:
    for target in ("gcs", "moto"):
        google = ("gcp/operator-role.yaml",)
        with servers.scene(target=target) as scene:
            rig = scene.rig
            scene.extra["BUCKET"] = rig.target.bucket
            rig.target.boto.create_multipart_upload(Bucket=rig.target.bucket, Key="left")
            files = google if target == "gcs" else _operator("Uploads")
            scene.run("uploads list", "uploads", "list", destination=files)
            abort = ("uploads", "abort", "--older-than", "0s")
            scene.run("uploads abort", *abort, destination=files)


def _new_queue(servers: Servers) -> None:
    with servers.scene() as scene:
        name = f"{scene.rig.queue.name}-new"
        scene.rig.options["sqs_queue_name"] = name
        scene.extra |= {"DEAD_LETTER_QUEUE": f"{name}-dead", "QUEUE": name}
        for words in ((), ("--update", "--allow-bucket", "some-bucket")):
            scene.run("queue init", "queue", "init", *words, source=_operator("QueueInit"))


EVERYTHING: Sequence[Callable[[Servers], Any]] = (
    _plain_worker,
    _resuming,
    _versions_and_tags,
    _server_copies,
    _stored_keys,
    _config_check,
    _jobsender,
    _check,
    _inventory,
    _triggers,
    _queue_tools,
    _ledger,
    _uploads,
    _new_queue,
)
