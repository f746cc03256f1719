"""A moto server on a free loopback port, with boto3 to set things up and look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

REGION = "us-east-1"


@dataclass(frozen=True)
class MotoAws:
    endpoint: str

    @property
    def sqs(self) -> Any:
        return self._session().client("sqs", endpoint_url=self.endpoint, config=self._config())

    @property
    def dynamodb(self) -> Any:
        return self._session().client("dynamodb", endpoint_url=self.endpoint, config=self._config())

    def _session(self) -> boto3.Session:
        return boto3.Session("AKIDTEST", "secret", region_name=REGION)

    def _config(self) -> Config:
        return Config(retries={"max_attempts": 1})


@contextmanager
def moto_aws() -> Iterator[MotoAws]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield MotoAws(f"http://{host}:{port}")
    finally:
        server.stop()
