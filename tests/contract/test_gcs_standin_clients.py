"""The stand-in serves clients that nobody here wrote: rclone, s5cmd, google-cloud-storage."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import google.cloud.storage
import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials

from support.gcs import BUCKET, boto_client, running_gcs
from sync.standins.gcs import GcsProcess

PROGRAMS = Path(sys.executable).parent
NAMES = [
    "plain.txt",
    "folder/deep/er.bin",
    "sp ace +%2B.txt",
    "\u00fcml\u00e4ut \U0001f600",
    "empty",
]


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsProcess]:
    with running_gcs() as running:
        yield running


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name in NAMES:
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"" if name == "empty" else name.encode() * 1000)
    (root / "large.bin").write_bytes(os.urandom(23 * 1024 * 1024))
    return root


def run(program: str, *arguments: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [str(PROGRAMS / program), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def rclone(gcs: GcsProcess, *arguments: str) -> str:
    settings = {
        "TYPE": "s3",
        "PROVIDER": "GCS",
        "ENDPOINT": gcs.url,
        "ACCESS_KEY_ID": gcs.identity.access_id,
        "SECRET_ACCESS_KEY": gcs.identity.secret,
        "CHUNK_SIZE": "5Mi",
        "UPLOAD_CUTOFF": "6Mi",
    }
    env = {f"RCLONE_CONFIG_GCS_{name}": value for name, value in settings.items()}
    env["RCLONE_CONFIG"] = os.devnull
    return run("rclone", *arguments, "--retries", "1", "--low-level-retries", "1", env=env)


def s5cmd(gcs: GcsProcess, *arguments: str) -> str:
    env = {
        "AWS_ACCESS_KEY_ID": gcs.identity.access_id,
        "AWS_SECRET_ACCESS_KEY": gcs.identity.secret,
        "AWS_REGION": "auto",
    }
    return run("s5cmd", "--endpoint-url", gcs.url, *arguments, env=env)


def test_rclone_copies_checks_and_lists(gcs: GcsProcess, tree: Path) -> None:
    gcs.control.clear_requests()
    rclone(gcs, "copy", str(tree), f"gcs:{BUCKET}/rclone")
    assert len(gcs.control.requests(operation="UploadPart")) == 5
    listed = rclone(gcs, "lsf", "-R", "--files-only", f"gcs:{BUCKET}/rclone").splitlines()
    assert sorted(listed) == sorted([*NAMES, "large.bin"])
    rclone(gcs, "check", "--download", str(tree), f"gcs:{BUCKET}/rclone")
    rclone(gcs, "check", str(tree), f"gcs:{BUCKET}/rclone")
    assert set(gcs.control.stats()["codes"]) <= {"NoSuchKey"}


def test_rclone_copies_within_and_removes(gcs: GcsProcess, tree: Path, tmp_path: Path) -> None:
    rclone(gcs, "copy", str(tree / "folder"), f"gcs:{BUCKET}/moved")
    rclone(gcs, "copyto", f"gcs:{BUCKET}/moved/deep/er.bin", f"gcs:{BUCKET}/moved/copy.bin")
    rclone(gcs, "copy", f"gcs:{BUCKET}/moved", str(tmp_path))
    assert (tmp_path / "copy.bin").read_bytes() == (tree / "folder/deep/er.bin").read_bytes()
    rclone(gcs, "delete", f"gcs:{BUCKET}/moved")
    assert rclone(gcs, "lsf", "-R", f"gcs:{BUCKET}/moved") == ""


def test_s5cmd_copies_lists_reads_and_removes(gcs: GcsProcess, tree: Path, tmp_path: Path) -> None:
    gcs.control.clear_requests()
    s5cmd(gcs, "cp", "--part-size", "5", f"{tree}/", f"s3://{BUCKET}/s5cmd/")
    assert len(gcs.control.requests(operation="UploadPart")) == 5
    listed = s5cmd(gcs, "ls", f"s3://{BUCKET}/s5cmd/*")
    assert all(name in listed for name in [*NAMES, "large.bin"])
    assert s5cmd(gcs, "cat", f"s3://{BUCKET}/s5cmd/plain.txt") == "plain.txt" * 1000
    s5cmd(gcs, "cp", f"s3://{BUCKET}/s5cmd/*", f"{tmp_path}/")
    assert (tmp_path / "large.bin").read_bytes() == (tree / "large.bin").read_bytes()
    s5cmd(gcs, "rm", f"s3://{BUCKET}/s5cmd/*")
    assert "Contents" not in boto_client(gcs).list_objects_v2(Bucket=BUCKET, Prefix="s5cmd/")


@pytest.fixture
def google_client(gcs: GcsProcess) -> google.cloud.storage.Client:
    return google.cloud.storage.Client(
        project="stand-in",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options=ClientOptions(api_endpoint=gcs.url),
    )


def test_googles_library_shares_the_same_objects(
    gcs: GcsProcess, google_client: google.cloud.storage.Client
) -> None:
    bucket = google_client.get_bucket(BUCKET)
    blob = bucket.blob("google/a//b +%2B \u00fc")
    blob.metadata = {"one": "1"}
    blob.upload_from_string(b"written by Google's library", content_type="x/y")
    found = boto_client(gcs).get_object(Bucket=BUCKET, Key=blob.name)
    assert found["Body"].read() == b"written by Google's library"
    assert (found["ContentType"], found["Metadata"]) == ("x/y", {"one": "1"})
    boto_client(gcs).put_object(Bucket=BUCKET, Key="google/z", Body=b"0123456789")
    other = bucket.get_blob("google/z")
    assert (other.size, other.download_as_bytes(start=2, end=4)) == (10, b"234")
    assert other.download_as_bytes() == b"0123456789"
    assert [b.name for b in google_client.list_blobs(BUCKET, prefix="google/")] == [
        blob.name,
        "google/z",
    ]


def test_googles_library_uploads_resumably(
    google_client: google.cloud.storage.Client, tree: Path
) -> None:
    blob = google_client.bucket(BUCKET).blob("google/large", chunk_size=5 * 1024 * 1024)
    blob.upload_from_filename(tree / "large.bin", checksum="crc32c")
    assert blob.download_as_bytes() == (tree / "large.bin").read_bytes()


def test_googles_library_patches_and_deletes(google_client: google.cloud.storage.Client) -> None:
    blob = google_client.bucket(BUCKET).blob("google/patched")
    blob.upload_from_string(b"x")
    blob.metadata = {"a": "b"}
    blob.cache_control = "no-store"
    blob.patch()
    assert blob.metageneration == 2
    again = google_client.bucket(BUCKET).get_blob("google/patched")
    assert (again.metadata, again.cache_control) == ({"a": "b"}, "no-store")
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"y", if_generation_match=0)
    blob.delete()
    with pytest.raises(NotFound):
        blob.delete()
