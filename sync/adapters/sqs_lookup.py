"""Finding queues: a name, URL or ARN becomes a URL, and what the queue says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sync.adapters.aws_errors import MALFORMED, malformed
from sync.adapters.aws_json import JsonApi
from sync.errors import AccessDenied, ConfigError, CredentialsRejected, NoSuchBucket
from sync.json_text import loads

_LEAST_KNOWN_SIZE: Final = 256 * 1024
_ARN_FIELDS: Final = 6
_AWS_HOST: Final = re.compile(r"//(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """A queue's settings. ``max_receive_count`` is 0 and ``dead_letter_arn`` "" where it has
    no RedrivePolicy; ``visibility_timeout`` in seconds, ``max_message_size`` in bytes.
    """

    url: str
    visibility_timeout: float = 30.0
    max_receive_count: int = 0
    dead_letter_arn: str = ""
    max_message_size: int = _LEAST_KNOWN_SIZE

    @property
    def fifo(self) -> bool:
        """True for a FIFO queue; SQS makes its name end so."""
        return self.url.endswith(".fifo")


async def queue_url(api: JsonApi, name: str) -> str:
    """The URL of a queue given by name, URL or ARN. ConfigError for another region's."""
    if "://" in name:
        _same_region(api, name, next(filter(None, _host_regions(name)), ""))
        return name
    if name.startswith("arn:"):
        return await _url_of_arn(api, name)
    return await _look_up(api, {"QueueName": name})


async def queue_facts(api: JsonApi, url: str) -> QueueFacts:
    """What the queue says of itself."""
    names = ["VisibilityTimeout", "RedrivePolicy", "MaximumMessageSize"]
    reply = await api.call("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": names})
    try:
        return _facts(url, reply.get("Attributes") or {})
    except MALFORMED:
        raise malformed("SQS GetQueueAttributes") from None


def _facts(url: str, values: Mapping[str, Any]) -> QueueFacts:
    policy = loads(values.get("RedrivePolicy") or "{}")
    return QueueFacts(
        url=url,
        visibility_timeout=float(values.get("VisibilityTimeout", 30)),
        max_receive_count=int(policy.get("maxReceiveCount", 0)),
        dead_letter_arn=str(policy.get("deadLetterTargetArn", "")),
        max_message_size=int(values.get("MaximumMessageSize", _LEAST_KNOWN_SIZE)),
    )


async def dead_letter_url(api: JsonApi, name: str, facts: QueueFacts) -> str:
    """URL of the dead-letter queue: the one named, or the RedrivePolicy's, or ""."""
    if name:
        return await queue_url(api, name)
    if not facts.dead_letter_arn:
        return ""
    try:
        return await _url_of_arn(api, facts.dead_letter_arn)
    except CredentialsRejected:
        raise
    except AccessDenied:
        # Sending may be allowed where looking up is not, and AWS builds its URLs so.
        if facts.dead_letter_arn.count(":") != _ARN_FIELDS - 1:
            raise
        account, queue = facts.dead_letter_arn.split(":")[4:6]
        return f"{facts.url.rsplit('/', 2)[0]}/{account}/{queue}"


async def _url_of_arn(api: JsonApi, arn: str) -> str:
    fields = arn.split(":")
    if len(fields) != _ARN_FIELDS or fields[2] != "sqs":
        raise ConfigError(f"{arn!r} is no queue ARN: it looks like arn:aws:sqs:region:account:name")
    _same_region(api, arn, fields[3])
    return await _look_up(api, {"QueueName": fields[5], "QueueOwnerAWSAccountId": fields[4]})


async def _look_up(api: JsonApi, request: Mapping[str, str]) -> str:
    try:
        url = (await api.call("GetQueueUrl", request)).get("QueueUrl")
    except NoSuchBucket as error:
        raise NoSuchBucket(
            f"there is no queue {request['QueueName']} in {api.region}: "
            "check sqs_queue_name, the region of the queue's credentials, and the account",
            operation=error.operation,
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        ) from error
    if not url:
        raise ConfigError("the SQS endpoint answered without a queue URL: is it SQS at all?")
    return str(url)


def _host_regions(url: str) -> tuple[str, ...]:
    match = _AWS_HOST.search(url)
    return tuple(group or "" for group in match.groups()) if match else ()


def _same_region(api: JsonApi, name: str, region: str) -> None:
    if region and region != api.region:
        raise ConfigError(
            f"queue {name} is in {region}, but the requests go to {api.region}: "
            "set the region of the queue's credentials to it"
        )
