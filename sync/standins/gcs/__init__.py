"""A strict stand-in for Google Cloud Storage's XML API with HMAC keys. See docs/gcs-stand-in.md."""

from sync.standins.gcs.control_client import Control
from sync.standins.gcs.faults import Fault, Match
from sync.standins.gcs.options import HmacIdentity, Options, Permission
from sync.standins.gcs.process import GcsProcess, start
from sync.standins.gcs.server import GcsStandIn

__all__ = [
    "Control",
    "Fault",
    "GcsProcess",
    "GcsStandIn",
    "HmacIdentity",
    "Match",
    "Options",
    "Permission",
    "start",
]
