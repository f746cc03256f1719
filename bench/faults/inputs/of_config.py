"""Configuration files, the environment, files of other tools, lists of buckets."""

# ruff: noqa: E501, PLR2004  sample lines stand as they are

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Final

from faults.inputs.target import Target, agree
from sync.config.bucket_list import parse_bucket_list
from sync.config.imports import read
from sync.config.keys import KEYS
from sync.config.loader import load
from sync.config.texts import sample, show
from sync.errors import ConfigError

_FOLDER: Final = Path(tempfile.mkdtemp(prefix="3gsync-fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, True)


def _file(data: bytes) -> None:
    path = _FOLDER / "config.ini"
    path.write_bytes(data)
    settings = load(path, {})
    # What is shown can be read back, and says the same; only where each value stood differs.
    text = show(settings)
    path.write_text(text)
    agree(_unremarked(show(load(path, {}))), _unremarked(text), "shown settings")


def _unremarked(text: str) -> list[str]:
    return [line.partition("  # ")[0] for line in text.split("\n")]


def _environment(data: bytes) -> None:
    """Lines ``N=value``: the Nth key's variable gets the value; others as they are named."""
    environ = {}
    for line in data.decode("utf-8", "replace").split("\n")[:50]:
        name, _, value = line.partition("=")
        if name.isascii() and name.isdecimal() and len(name) < 4:
            key = KEYS[int(name) % len(KEYS)]
            name = key.variable or key.override
        environ[name] = value
    path = _FOLDER / "empty.ini"
    path.write_bytes(b"")
    show(load(path, environ))


def _import(data: bytes) -> None:
    kind, _, text = data.partition(b"\n")
    path = _FOLDER / ("config.yml" if kind == b"yaml" else "old.ini")
    path.write_bytes(text)
    read(path, {})


def _buckets(data: bytes) -> None:
    parse_bucket_list(data.decode("utf-8", "replace"), "list")


_OLD: Final = b"""ini
[Basic]
JobType = PUT
table_queue_name = s3_migrate_file_list
sqs_queue_name = s3_migrate_file_list
ssm_parameter_bucket = s3_migration_bucket_para
ssm_parameter_credentials = s3_migration_credentials
LocalProfileMode = False
[Mode]
JobsenderCompareVersionId = False
UpdateVersionId = False
GetObjectWithVersionId = False
[Debug]
LoggingLevel = INFO
"""
_SINGLE: Final = b"""ini
[Basic]
JobType = S3_TO_S3
DesBucket = target
S3Prefix = x
SrcFileIndex = *
SrcBucket = source
DesProfileName = dest
[Advanced]
ChunkSize = 5
MaxRetry = 20
MaxThread = 5
"""
_YAML: Final = b"""yaml
aws:
  access_key_id: ${KEY:-x}
  region: eu-west-1
source: &s
  bucket: source
  prefix: a/
destination:
  <<: *s
  bucket: target
options: [1, 2.5, true, null, 2026-01-05]
"""
_BOMB: Final = b"yaml\na: &a {x: 1}\n" + b"".join(
    b"%c: &%c {%b}\n" % (char, char, b", ".join(b"k%d: *%c" % (n, char - 1) for n in range(9)))
    for char in b"bcdefghijk"
)
_LIST_BOMB: Final = b"yaml\naws: {a: &a [1]}\n" + b"".join(
    b"%c: &%c [%b]\n" % (char, char, b", ".join([b"*%c" % (char - 1)] * 9))
    for char in b"bcdefghijk"
)
_VALUES: Final = b"5=ENV\n1=http://127.0.0.1:9\n25=17\n40=true\n30=-1\n"
_PAIR: Final = {"src_bucket": "source", "src_prefix": "", "des_bucket": "target", "des_prefix": "x"}

TARGETS: Final = {
    target.name: target
    for target in (
        Target(name="config-file", probe=_file, allowed=(ConfigError,), seeds=(
            sample().encode(), b"[Basic]\nJobType = ENV\n", b"\xef\xbb\xbf[Mode]\r\n# x\r\n a = b\r\n"),
            words=tuple(f"{key.name} =".encode() for key in KEYS)),
        Target(name="config-environment", probe=_environment, allowed=(ConfigError,),
               seeds=(_VALUES, b"5=ENV\n9=queue\n", b"THREEGSYNC_CHUNKSIZE=5\nTHREEGSYNC_X=1\n"), longest=2048),
        Target(name="config-import", probe=_import, allowed=(ConfigError,),
               seeds=(_OLD, _SINGLE, _YAML, _BOMB, _LIST_BOMB), words=(b"yaml\n", b"*s", b"&s ", b"<<: ", b"!!python/x ")),
        Target(name="bucket-list", probe=_buckets, allowed=(ConfigError,),
               seeds=(json.dumps([_PAIR]).encode(), json.dumps([_PAIR, _PAIR]).encode())),
    )
}  # fmt: skip
