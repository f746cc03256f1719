"""Where an inventory, or one file of it, is: ``s3://bucket/key``, ``gs://bucket/key``, a path."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from sync.errors import ConfigError

LOCAL: Final = "file"
_REMOTE: Final = ("s3", "gs")


class Place(NamedTuple):
    """A file, or a folder: then ``path`` ends in ``/`` or is "". Keys are never normalised."""

    scheme: str
    bucket: str
    path: str

    def __str__(self) -> str:
        """As the user would write it."""
        return self.path if self.local else f"{self.scheme}://{self.bucket}/{self.path}"

    @property
    def local(self) -> bool:
        """On this machine."""
        return self.scheme == LOCAL

    @property
    def is_folder(self) -> bool:
        """A folder, judged by the path alone."""
        return not self.path or self.path.endswith("/")

    @property
    def name(self) -> str:
        """The last part of the path, without a slash."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def folder(self) -> Place:
        """The folder that it is in; for a folder the one above."""
        head, slash, _ = self.path[: -1 if self.is_folder else None].rpartition("/")
        return self._replace(path=head + slash)

    def child(self, name: str) -> Place:
        """``name`` in this folder."""
        return self._replace(path=self.path + name)


def parse_place(text: str) -> Place:
    """What the user named. ConfigError where it is none of the three.

    A path on this machine becomes absolute, and a folder that is there gets its slash.
    """
    scheme, mark, rest = text.partition("://")
    if not mark:
        return _local(text)
    bucket, _, path = rest.partition("/")
    if scheme not in _REMOTE or not bucket:
        raise ConfigError(
            f"{text!r} is no place of an inventory: it looks like s3://bucket/path, "
            "gs://bucket/path, or a path on this machine"
        )
    return Place(scheme, bucket, path)


def _local(text: str) -> Place:
    if not text:
        raise ConfigError("an empty text names no inventory")
    path = Path(text).absolute()
    return Place(LOCAL, "", f"{path}/".replace("//", "/") if path.is_dir() else str(path))
