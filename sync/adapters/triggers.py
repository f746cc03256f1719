"""The few calls to S3 and SQS that event notifications take, over boto3. They block."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from sync.adapters.aws_errors import Service, error_of
from sync.adapters.credentials.chain import translate
from sync.adapters.credentials.quiet import quiet_libraries
from sync.errors import ConfigError, NoSuchBucket, RequestRefused, SyncError, TransientStoreError
from sync.ports import Credentials

_S3: Final = Service(name="s3", prefix="", title="S3", mend_missing="check the bucket's name")
_SQS: Final = Service(
    name="sqs",
    prefix="",
    title="SQS",
    mend_missing="check the queue's name, the region of its keys, and the account",
)
_ATTRIBUTES: Final = ("QueueArn", "Policy", "KmsMasterKeyId")
_ARN_FIELDS: Final = 6
_QUEUE_HOST: Final = re.compile(r"//(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com")
# boto3 leaves out of its answers what its own model does not know, and a put would lose it.
_KNOWN_ELEMENTS: Final = frozenset(
    {
        "TopicConfiguration",
        "QueueConfiguration",
        "CloudFunctionConfiguration",
        "EventBridgeConfiguration",
        "Id",
        "Event",
        "Topic",
        "Queue",
        "CloudFunction",
        "Filter",
        "S3Key",
        "FilterRule",
        "Name",
        "Value",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetQueue:
    """A queue as events see it. ``policy`` is JSON or "", ``kms_key`` "" where SQS's own keys
    encrypt, or none.
    """

    url: str
    arn: str
    policy: str
    kms_key: str

    @property
    def region(self) -> str:
        """Where it is."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.arn.split(":")[4]

    @property
    def fifo(self) -> bool:
        """True for a FIFO queue; SQS makes its name end so."""
        return self.arn.endswith(".fifo")

    @property
    def aws_managed_key(self) -> bool:
        """Encrypted with the account's ``aws/sqs`` key, whose policy nobody can change.

        Source: SQS developer guide, "Key management": event sources need a key of one's own.
        """
        return self.kms_key.rpartition(":")[2] == "alias/aws/sqs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Keys and places. An ``s3_endpoint`` of "" is AWS's own for the bucket's region, or what
    AWS's variables and the profile say.
    """

    s3_keys: Credentials
    sqs_keys: Credentials
    region: str
    profile: str = ""
    s3_endpoint: str = ""
    ca_bundle: Path | None = None


class TriggerCalls:
    """Reads and writes notification configurations, and the policy of the queue."""

    def __init__(self, access: Access) -> None:
        quiet_libraries()
        self._clients = _Clients(access)
        self._s3 = self._clients.s3()
        self._raw = b""
        self._s3.meta.events.register(
            "before-parse.s3.GetBucketNotificationConfiguration", self._keep_raw
        )

    def region_of(self, bucket: str) -> str:
        """The bucket's region, or "" where the store does not say. Needs no permission: S3
        names the region even where it refuses (API reference, HeadBucket).
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415  only when used

        with _translated(_S3, "ListBucket", f"bucket {bucket}"):
            try:
                reply = self._s3.head_bucket(Bucket=bucket)
            except ClientError as error:
                reply = error.response
        headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return str(headers.get("x-amz-bucket-region", ""))

    def notifications(
        self, bucket: str, *, owner: str = "", to_change: bool = True
    ) -> dict[str, Any]:
        """The document. AccessDenied also where ``owner`` is not the bucket's account.

        RequestRefused where it holds something that boto3 would drop in a put, unless it is not
        ``to_change``.
        """
        expected = {"ExpectedBucketOwner": owner} if owner else {}
        with _translated(_S3, "GetBucketNotification", f"bucket {bucket}"):
            reply = self._s3.get_bucket_notification_configuration(Bucket=bucket, **expected)
        if to_change:
            _check_elements(bucket, self._raw)
        return {name: value for name, value in reply.items() if name != "ResponseMetadata"}

    def put_notifications(
        self,
        bucket: str,
        document: Mapping[str, Any],
        *,
        owner: str = "",
        skip_validation: bool = False,
    ) -> None:
        """Replace the whole document. S3 sends a test message to every queue and topic of it
        first, and refuses where one fails, unless ``skip_validation``.
        """
        options: dict[str, Any] = {"ExpectedBucketOwner": owner} if owner else {}
        if skip_validation:
            options["SkipDestinationValidation"] = True
        with _translated(_S3, "PutBucketNotification", f"bucket {bucket}"):
            self._s3.put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration=document, **options
            )

    def queue(self, name: str) -> TargetQueue:
        """The queue of that name, URL or ARN. NoSuchBucket where there is none."""
        region, request = _queue_request(name)
        client = self._clients.sqs(region)
        with _translated(_SQS, "GetQueueUrl", f"queue {name}"):
            url = name if "://" in name else client.get_queue_url(**request)["QueueUrl"]
        with _translated(_SQS, "GetQueueAttributes", f"queue {name}"):
            # Asked for by name, SQS answers without an error for those that are not set.
            reply = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(_ATTRIBUTES))
        found = reply.get("Attributes", {})
        if len(str(found.get("QueueArn", "")).split(":")) != _ARN_FIELDS:
            raise ConfigError(f"queue {name}: the endpoint answered without an ARN: is it SQS?")
        return TargetQueue(
            url=url,
            arn=found["QueueArn"],
            policy=found.get("Policy", ""),
            kms_key=found.get("KmsMasterKeyId", ""),
        )

    def set_policy(self, queue: TargetQueue, policy: str) -> None:
        """Replace the queue's policy. Takes up to 60 s to be known everywhere (API reference)."""
        with _translated(_SQS, "SetQueueAttributes", f"queue {queue.arn}"):
            self._clients.sqs(queue.region).set_queue_attributes(
                QueueUrl=queue.url, Attributes={"Policy": policy}
            )

    def _keep_raw(self, response_dict: Mapping[str, Any], **_: object) -> None:
        self._raw = response_dict.get("body") or b""


class _Clients:
    """boto3's clients, made once each: the making costs more than a request."""

    def __init__(self, access: Access) -> None:
        from botocore.session import Session  # noqa: PLC0415  only when used

        self._access = access
        self._session = Session(profile=access.profile or None)
        self._sqs: dict[str, Any] = {}

    def s3(self) -> Any:
        endpoint = self._access.s3_endpoint
        # Names of buckets are no host names on a server of one's own.
        style = {"s3": {"addressing_style": "path"}} if endpoint else {}
        return self._make("s3", self._access.s3_keys, self._access.region, endpoint, **style)

    def sqs(self, region: str) -> Any:
        region = region or self._access.region
        if region not in self._sqs:
            self._sqs[region] = self._make("sqs", self._access.sqs_keys, region, "")
        return self._sqs[region]

    def _make(
        self, service: str, keys: Credentials, region: str, endpoint: str, **options: Any
    ) -> Any:
        from botocore.config import Config  # noqa: PLC0415  only when used
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        retries: Any = {"mode": "standard", "max_attempts": 5}
        bundle = self._access.ca_bundle
        try:
            return self._session.create_client(
                service,
                region_name=region,
                endpoint_url=endpoint or None,
                aws_access_key_id=keys.access_key,
                aws_secret_access_key=keys.secret_key,
                aws_session_token=keys.token or None,
                verify=str(bundle) if bundle else None,
                config=Config(connect_timeout=10, read_timeout=30, retries=retries, **options),
            )
        except BotoCoreError as error:
            failure = translate(error, f"AWS service {service}")
        raise failure


def _queue_request(name: str) -> tuple[str, dict[str, str]]:
    """The region that an ARN or URL names ("" for none), and what GetQueueUrl is asked."""
    if "://" in name:
        host = _QUEUE_HOST.search(name)
        return (host[1] or host[2] or "") if host else "", {}
    if not name.startswith("arn:"):
        return "", {"QueueName": name}
    fields = name.split(":")
    if len(fields) != _ARN_FIELDS or fields[2] != "sqs":
        raise ConfigError(
            f"{name!r} is no queue ARN: it looks like arn:aws:sqs:region:account:name"
        )
    return fields[3], {"QueueName": fields[5], "QueueOwnerAWSAccountId": fields[4]}


def _check_elements(bucket: str, body: bytes) -> None:
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415  only when used

    if not body:
        return
    try:
        root = fromstring(body)  # whose own name differs between stores
    except (ParseError, ValueError, LookupError):  # with a DTD, in an encoding nobody knows
        raise TransientStoreError(f"bucket {bucket}: its notifications are no XML") from None
    names = {element.tag.rpartition("}")[2] for element in root.iter() if element is not root}
    if unknown := sorted(names - _KNOWN_ELEMENTS):
        raise RequestRefused(
            f"bucket {bucket}: its notifications hold {', '.join(unknown)}, which the installed "
            "boto3 does not know and would drop: update 3GSync, or make the change elsewhere"
        )


@contextmanager
def _translated(service: Service, action: str, what: str) -> Iterator[None]:
    from botocore.exceptions import (  # noqa: PLC0415  only when used
        BotoCoreError,
        ClientError,
        ParamValidationError,
    )

    failure: SyncError
    try:
        yield
    except ClientError as error:
        failure = _refusal(service, action, what, error.response)
    except ParamValidationError:
        failure = ConfigError(f"{what}: no name that {service.title} could have")
    except BotoCoreError as error:
        failure = TransientStoreError(f"{what}: no answer ({type(error).__name__})")
    else:
        return
    raise failure


def _refusal(service: Service, action: str, what: str, response: Mapping[str, Any]) -> SyncError:
    told, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = str(told.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
    text = f"{told.get('Message', '')}{_arguments(told)}"
    if code == "NoSuchBucket":
        return NoSuchBucket(f"{what}: there is none; check its name", status=status, code=code)
    if code == "OperationAborted":
        return TransientStoreError(f"{what}: another change is under way; run it again", code=code)
    body = json.dumps({"__type": code, "message": text}).encode()
    error = error_of(service, action, status=status, headers={}, body=body)
    return type(error)(f"{what}: {error}", operation=action, status=status, code=error.code)


def _arguments(told: Mapping[str, Any]) -> str:
    """What S3 says of a refused destination stands in fields of its own."""
    pairs = ((told.get(f"ArgumentName{n}"), told.get(f"ArgumentValue{n}")) for n in ("", 1, 2, 3))
    named = [f"{name}: {value}" for name, value in pairs if name and value]
    return f" ({'; '.join(named)})" if named else ""
