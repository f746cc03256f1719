"""Where the jobsender's list of buckets comes from."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from sync.backfill.pairs import bucket_pairs
from sync.config import Settings, load
from sync.errors import ConfigError
from sync.model import BucketPair
from sync.standins.secretmanager import SecretManager

SECRET = "projects/p/secrets/buckets"
LIST = json.dumps([{"src_bucket": "from-a-secret", "des_bucket": "to-there", "des_prefix": "x"}])
PAIR = BucketPair("from-a-secret", "", "to-there", "x")


def settings(tmp_path: Path, **values: str) -> Settings:
    given = {"JobType": "GET", "BucketList": str(tmp_path / "list.txt"), **values}
    (tmp_path / "list.txt").touch()  # a file that is named must be there when it is looked for
    loaded = load(Path(os.devnull), {f"THREEGSYNC_{k.upper()}": v for k, v in given.items()})
    (tmp_path / "list.txt").unlink()
    return loaded


def pairs(found: Settings, environ: dict[str, str], named: Path | None = None) -> list[BucketPair]:
    return asyncio.run(bucket_pairs(found, environ, named))


@pytest.mark.parametrize("version", ["", "/versions/latest", "/versions/1"])
def test_a_google_secret_holds_the_list(tmp_path: Path, version: str) -> None:
    with SecretManager() as server:
        server.add_version(SECRET, LIST.encode())
        environ = {"SECRETMANAGER_EMULATOR_HOST": server.address}
        found = settings(tmp_path, ssm_parameter_bucket=SECRET + version)
        assert pairs(found, environ) == [PAIR]
        (tmp_path / "list.txt").write_text('[{"src_bucket": "abc", "des_bucket": "abd"}]')
        assert pairs(found, environ) == [BucketPair("abc", "", "abd", "")], "a file comes first"


def test_a_secret_that_is_missing_or_no_list_names_the_setting_to_mend(tmp_path: Path) -> None:
    with SecretManager() as server:
        environ = {"SECRETMANAGER_EMULATOR_HOST": server.address}
        found = settings(tmp_path, ssm_parameter_bucket=SECRET)
        with pytest.raises(ConfigError, match="mend ssm_parameter_bucket"):
            pairs(found, environ)
        server.add_version(SECRET, b"{}")
        with pytest.raises(ConfigError, match="at least one pair"):
            pairs(found, environ)


def test_a_list_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        pairs(settings(tmp_path), {}, tmp_path / "no-such-list.txt")
