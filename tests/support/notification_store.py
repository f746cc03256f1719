"""An S3 for event notifications alone, as strict as Amazon's: it refuses what S3 refuses, keeps
the XML it is given, and gives it back in another order with other capitals, as S3 does.
"""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations, product
from typing import Any
from urllib.parse import urlsplit

NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
ET.register_namespace("", NS[1:-1])
_TARGETS = ("Queue", "Topic", "CloudFunction")
_ERROR = "<Error><Code>{}</Code><Message>{}</Message>{}</Error>"


class Refused(Exception):
    """Status, code, message, and further elements."""


@dataclass
class Bucket:
    """One bucket. ``xml`` is its configuration; ``puts`` counts what was written."""

    region: str = "us-east-1"
    owner: str = "123456789012"
    xml: bytes = b"<NotificationConfiguration/>"
    puts: int = 0
    gets: int = 0
    skipped_validation: bool = False


@dataclass
class Store:
    """The buckets, with hooks that run after a request was answered or before it is."""

    endpoint: str = ""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    after_get: Callable[[Bucket], None] = lambda _: None
    after_put: Callable[[Bucket], None] = lambda _: None
    refusals: list[Refused] = field(default_factory=list)

    def get(self, name: str, owner: str) -> bytes:
        bucket = self._bucket(name, owner)
        bucket.gets += 1
        answer = bucket.xml
        self.after_get(bucket)
        return answer

    def put(self, name: str, owner: str, body: bytes, *, skip: bool) -> None:
        bucket = self._bucket(name, owner)
        if self.refusals:
            raise self.refusals.pop(0)
        root = ET.fromstring(body)
        check(root, bucket.region)
        bucket.xml = _as_s3_answers(root)
        bucket.puts += 1
        bucket.skipped_validation = skip
        self.after_put(bucket)

    def _bucket(self, name: str, owner: str) -> Bucket:
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        if owner not in {"", self.buckets[name].owner}:
            raise Refused(403, "AccessDenied", "Access Denied")
        return self.buckets[name]


def check(root: ET.Element, region: str) -> None:
    """Refuse what S3 refuses."""
    entries = [e for e in root if e.tag.removesuffix("Configuration") != f"{NS}EventBridge"]
    ids = [e.findtext(f"{NS}Id") for e in entries]
    if len(entries) > 100:
        raise Refused(400, "TooManyConfigurations", "More than 100 configurations")
    if len(set(ids)) < len(ids):
        raise Refused(400, "InvalidArgument", "Same ID used for multiple configurations")
    for entry in entries:
        arn = next(filter(None, (entry.findtext(f"{NS}{name}") for name in _TARGETS)))
        if arn.split(":")[3] != region:
            raise Refused(400, "InvalidArgument", "The destination region is not valid")
        if arn.endswith(".fifo"):
            raise Refused(400, "InvalidArgument", "Unable to validate: FIFO SQS queues")
    for one, other in combinations(entries, 2):
        if clash(_facts(one), _facts(other)):
            raise Refused(400, "InvalidArgument", "Configuration is ambiguously defined.")


Facts = tuple[list[str], str, str]


def clash(one: Facts, other: Facts) -> bool:
    """S3's rule, spelled out: some event and some text fits both."""
    (events, prefix, suffix), (others, begin, end) = one, other
    shared = any(a[:n] == b[:n] for a, b in product(events, others) for n in [_fixed(a, b)])
    size, tail = min(len(prefix), len(begin)), min(len(suffix), len(end))
    heads = prefix[:size] == begin[:size]
    return shared and heads and suffix[len(suffix) - tail :] == end[len(end) - tail :]


def _fixed(one: str, other: str) -> int:
    """How far two names of events must agree to be of one event."""
    stars = [len(name) - 1 for name in (one, other) if name.endswith("*")]
    return min(stars) if stars else max(len(one), len(other))


def _facts(entry: ET.Element) -> Facts:
    rules = {"prefix": "", "suffix": ""}
    for rule in entry.iter(f"{NS}FilterRule"):
        rules[str(rule.findtext(f"{NS}Name")).lower()] = rule.findtext(f"{NS}Value") or ""
    return [e.text or "" for e in entry.findall(f"{NS}Event")], rules["prefix"], rules["suffix"]


def _as_s3_answers(root: ET.Element) -> bytes:
    root[:] = reversed(root[:])
    for name in root.iter(f"{NS}Name"):
        name.text = str(name.text).capitalize()
    for number, entry in enumerate(root):
        if entry.find(f"{NS}Id") is None and len(entry):
            ET.SubElement(entry, f"{NS}Id").text = f"made-up-{number}"
    return ET.tostring(root)


class _Handler(BaseHTTPRequestHandler):
    store: Store
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(lambda: self.store.get(self._name, self._owner))

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        skip = self.headers.get("x-amz-skip-destination-validation", "") == "true"

        def put() -> bytes:
            self.store.put(self._name, self._owner, body, skip=skip)
            return b""

        self._answer(put)

    def do_HEAD(self) -> None:
        bucket = self.store.buckets.get(self._name)
        # Forbidden, as to one who may only change notifications: the region is told all the same.
        self.send_response(403 if bucket else 404)
        if bucket:
            self.send_header("x-amz-bucket-region", bucket.region)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, work: Callable[[], bytes]) -> None:
        try:
            status, body = 200, work()
        except Refused as refused:
            status, code, message, *more = refused.args
            body = _ERROR.format(code, message, "".join(more)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @property
    def _name(self) -> str:
        return urlsplit(self.path).path.strip("/")

    @property
    def _owner(self) -> str:
        return self.headers.get("x-amz-expected-bucket-owner", "")

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def notification_store() -> Iterator[Store]:
    """A running store without buckets."""
    store = Store()
    handler = type("Handler", (_Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    store.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
