"""Ceph's RADOS gateway on a cluster of one monitor and one in-memory OSD, on loopback.

A second S3 implementation with its own mind: it refuses unused parts and knows no checksum
headers. It comes from Debian's packages; where they are missing and may be installed (root,
apt-get, and NO_APT_INSTALL unset) they are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers import (
    ACCESS_KEY,
    SECRET_KEY,
    S3Server,
    ServerFailed,
    answers,
    free_ports,
    fresh_folder,
    running,
    wait_until,
)

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw")
_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph-authtool", "monmaptool")
_INSTALL_SECONDS = 300
_STEP_SECONDS = 60
_SETTINGS = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{monitor}/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
pid file =
log file =
mon data = {folder}/mon
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 2
osd pool default pgp num = 2
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
ms bind msgr1 = false
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw data = {folder}/rgw
rgw thread pool size = 32
rgw enable gc threads = false
rgw enable lc threads = false
"""
_KEYS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
    "client.rgw": ("mon", "allow rw", "osd", "allow rwx"),
}


def why_unavailable() -> str | None:
    """None where the gateway can be run (it is installed on the way), else the reason."""
    if _installed():
        return None
    if os.environ.get("NO_APT_INSTALL"):
        return "Ceph RGW is not installed and NO_APT_INSTALL forbids installing it"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"Ceph RGW is not installed (as root: apt-get install {' '.join(PACKAGES)})"
    return _install()


def _installed() -> bool:
    return all(shutil.which(program) for program in _PROGRAMS)


def _install() -> str | None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    patient = "DPkg::Lock::Timeout=120"  # another test process may be installing them too
    install = ["apt-get", "-o", patient, "install", "-y", "--no-install-recommends", *PACKAGES]
    for command in (["apt-get", "update"], install):
        try:
            subprocess.run(
                command, env=environment, check=True, capture_output=True, timeout=_INSTALL_SECONDS
            )
        except (OSError, subprocess.SubprocessError) as error:
            return f"Ceph RGW could not be installed: {error}"
    return None if _installed() else "Ceph RGW's packages do not hold what is needed"


@contextmanager
def ceph_rgw() -> Iterator[S3Server]:
    """A gateway with one user. ServerFailed where the cluster does not come up."""
    monitor, gateway = free_ports(2)
    with fresh_folder("ceph") as folder:
        cluster = _Cluster(folder, monitor, gateway)
        cluster.prepare()
        with cluster.daemon("ceph-mon", "-i", "a"):
            cluster.add_disk()
            with (
                cluster.daemon("ceph-osd", "-i", "0"),
                cluster.daemon("radosgw", "-n", "client.rgw"),
            ):
                cluster.add_user()
                yield S3Server("ceph-rgw", cluster.endpoint)


class _Cluster:
    def __init__(self, folder: Path, monitor: int, gateway: int) -> None:
        self._folder = folder
        self._monitor = monitor
        self._fsid = str(uuid.uuid4())
        self._settings = folder / "ceph.conf"
        self.endpoint = f"http://127.0.0.1:{gateway}"
        text = _SETTINGS.format(fsid=self._fsid, folder=folder, monitor=monitor, gateway=gateway)
        self._settings.write_text(text)

    def prepare(self) -> None:
        """Keys, the monitors' map, and the monitor's own store."""
        for name in ("mon", "osd", "rgw"):
            (self._folder / name).mkdir()
        keyring, monmap = str(self._folder / "keyring"), str(self._folder / "monmap")
        _step("ceph-authtool", "--create-keyring", keyring)
        for name, rights in _KEYS.items():
            pairs = zip(rights[::2], rights[1::2], strict=True)
            caps = [word for pair in pairs for word in ("--cap", *pair)]
            _step("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)
        address = f"[v2:127.0.0.1:{self._monitor}]"
        _step("monmaptool", "--create", "--addv", "a", address, "--fsid", self._fsid, monmap)
        self._tool("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)

    def add_disk(self) -> None:
        disk = str(uuid.uuid4())
        self._tool("ceph", "osd", "new", disk, "0")
        self._tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)

    def add_user(self) -> None:
        keys = (f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}")
        who = ("--uid=tests", "--display-name=tests")
        self._tool("radosgw-admin", "-n", "client.rgw", "user", "create", *who, *keys)

    @contextmanager
    def daemon(self, program: str, *arguments: str) -> Iterator[None]:
        command = [program, "-c", str(self._settings), *arguments, "-f"]
        with running(command, folder=self._folder, name=program) as check:
            if program == "radosgw":
                wait_until(lambda: answers(self.endpoint), check, name=program)
            yield

    def _tool(self, program: str, *arguments: str) -> None:
        _step(program, "-c", str(self._settings), *arguments)


def _step(*command: str) -> None:
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=_STEP_SECONDS
    )
    if result.returncode:
        raise ServerFailed(f"{' '.join(command)}: {result.stderr[-2000:]}")
