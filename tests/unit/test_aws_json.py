from __future__ import annotations

import asyncio
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.scripted_aws import (
    Answer,
    Keys,
    ManualClock,
    ScriptedReply,
    ScriptedService,
    ok,
    refused,
)
from sync.adapters.aws_errors import Service
from sync.adapters.aws_json import JsonApi, Retries, origin_of
from sync.errors import (
    AccessDenied,
    ClockSkewed,
    ConfigError,
    CredentialsRejected,
    IntegrityError,
    NoSuchBucket,
    OutcomeUnknown,
    PreconditionFailed,
    RequestRefused,
    StoreError,
    Throttled,
    TransientStoreError,
)

SERVICE = Service(name="sqs", prefix="AmazonSQS", title="SQS", mend_missing="make the queue")


class Bench:
    def __init__(self, *answers: Answer, attempts: int = 4) -> None:
        self.service = ScriptedService(*answers)
        self.clock = ManualClock()
        self.keys = Keys()
        self.api = JsonApi(
            service=SERVICE,
            client=self.service,
            credentials=self.keys,
            endpoint="http://127.0.0.1:9",
            region="eu-west-1",
            clock=self.clock,
            retries=Retries(attempts=attempts, chance=lambda: 1.0),
        )

    def call(self, payload: Any = None) -> Any:
        return asyncio.run(self.api.call("DoIt", payload or {}))

    def fails(self, kind: type[StoreError]) -> StoreError:
        with pytest.raises(kind) as caught:
            self.call()
        assert type(caught.value) is kind
        return caught.value


def test_a_call_is_a_signed_post_of_json() -> None:
    bench = Bench(ok({"Answer": 42}))
    assert bench.call({"Key": "ü"}) == {"Answer": 42}
    request = bench.service.asked[0].request
    headers = {name.lower(): value for name, value in request.headers}
    assert (request.method, request.target) == ("POST", "/")
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["x-amz-target"] == "AmazonSQS.DoIt"
    assert "/eu-west-1/sqs/aws4_request" in headers["authorization"]
    assert request.body == '{"Key":"ü"}'.encode()


def test_the_signature_is_the_one_botocore_would_make(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(ok())
    bench.call({"QueueUrl": "http://x/1/q", "Body": "ü"})
    request = bench.service.asked[0].request
    sent = {name.lower(): value for name, value in request.headers}
    names = ("content-type", "x-amz-target", "x-amz-content-sha256")
    theirs = AWSRequest(
        method="POST",
        url="http://127.0.0.1:9/",
        data=request.body,
        headers={name: sent[name] for name in names if name in sent},
    )
    at = datetime.fromtimestamp(bench.clock.now, UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: at)
    keys = Credentials("AKIDTEST0", "very-secret", "session-token")
    SigV4Auth(keys, "sqs", "eu-west-1").add_auth(theirs)
    assert sent["authorization"] == theirs.headers["Authorization"]
    assert sent["x-amz-date"] == theirs.headers["X-Amz-Date"]
    assert sent["x-amz-security-token"] == "session-token"


def test_the_signature_covers_the_real_body() -> None:
    one, two = Bench(ok()), Bench(ok())
    one.call({"A": 1})
    two.call({"A": 2})
    signatures = [dict(b.service.asked[0].request.headers) for b in (one, two)]
    assert signatures[0] != signatures[1]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused("QueueDoesNotExist"), NoSuchBucket),
        (refused("ResourceNotFoundException"), NoSuchBucket),
        (refused("AccessDeniedException"), AccessDenied),
        (refused("AccessDenied", status=403), AccessDenied),
        (refused("KmsDisabled"), AccessDenied),
        (refused("ConditionalCheckFailedException"), PreconditionFailed),
        (refused("ValidationException"), RequestRefused),
        (refused("SomethingNew"), RequestRefused),
        (refused("SomethingNew", status=403), AccessDenied),
        (ScriptedReply(404, {}, b"<html>not here</html>"), RequestRefused),
        (ScriptedReply(302, {"location": "http://elsewhere/"}, b""), RequestRefused),
        (ScriptedReply(400, {"x-amzn-errortype": "AccessDenied:http://x"}, b"{}"), AccessDenied),
        (
            ScriptedReply(
                400,
                {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
                b"[]",
            ),
            NoSuchBucket,
        ),
    ],
)
def test_final_errors_are_raised_at_once(answer: ScriptedReply, kind: type[StoreError]) -> None:
    bench = Bench(answer)
    bench.fails(kind)
    assert bench.clock.slept == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused("ThrottlingException"), Throttled),
        (refused("ProvisionedThroughputExceededException"), Throttled),
        (refused("RequestThrottled"), Throttled),
        (refused("OverLimit", status=403), Throttled),
        (refused("InternalServerError", status=500), TransientStoreError),
        (ScriptedReply(503, {}, b"<html>busy</html>"), TransientStoreError),
        (ScriptedReply(429, {}, b""), Throttled),
        (ScriptedReply(200, {}, b"<html>a captive portal</html>"), TransientStoreError),
        (ScriptedReply(200, {}, b"[1]"), TransientStoreError),
        (OutcomeUnknown("lost"), OutcomeUnknown),
    ],
)
def test_passing_faults_are_retried_then_raised(answer: Answer, kind: type[StoreError]) -> None:
    assert Bench(answer, answer, ok({"A": 1})).call() == {"A": 1}
    bench = Bench(*[answer] * 4)
    bench.fails(kind)
    assert bench.clock.slept == [0.1, 0.2, 0.4]


def test_pauses_are_drawn_from_zero_and_bounded() -> None:
    drawn = iter([0.0, 0.5, 1.0])
    retries = Retries(base=1.0, cap=3.0, chance=lambda: next(drawn))
    assert [retries.pause(n) for n in (1, 2, 3)] == [0.0, 1.0, 3.0]


def test_retry_after_is_waited_for() -> None:
    bench = Bench(refused("Throttling", headers={"retry-after": "2"}), ok())
    bench.call()
    assert bench.clock.slept == [2.1]


def test_refused_credentials_are_read_anew_once() -> None:
    bench = Bench(refused("UnrecognizedClientException"), ok({"A": 1}))
    assert bench.call() == {"A": 1}
    used = [dict(asked.request.headers) for asked in bench.service.asked]
    authorizations = [{k.lower(): v for k, v in h.items()}["authorization"] for h in used]
    assert "AKIDTEST0" in authorizations[0]
    assert "AKIDTEST1" in authorizations[1]
    again = Bench(*[refused("InvalidSignatureException", "no match")] * 2)
    again.fails(CredentialsRejected)
    assert again.keys.refused == 1


@pytest.mark.parametrize("between", ["\n", " "])
def test_an_error_never_quotes_what_was_signed(between: str) -> None:
    text = f"The request signature does not match{between}x-amz-security-token:session-token"
    bench = Bench(*[refused("SignatureDoesNotMatch", text, status=403)] * 2)
    assert "session-token" not in str(bench.fails(CredentialsRejected))


def test_a_skewed_clock_is_corrected_from_the_reply() -> None:
    skewed = refused(
        "InvalidSignatureException",
        "Signature expired: 20270115T080000Z is now earlier than 20270115T100000Z",
        headers={"date": "Fri, 15 Jan 2027 10:00:00 GMT"},
    )
    bench = Bench(skewed, ok({"A": 1}))
    assert bench.call() == {"A": 1}
    dates = [
        {k.lower(): v for k, v in asked.request.headers}["x-amz-date"]
        for asked in bench.service.asked
    ]
    assert dates[0].startswith("20270115T0800")
    assert dates[1].startswith("20270115T1000")
    assert bench.keys.refused == 0
    Bench(*[skewed] * 4).fails(ClockSkewed)


def test_a_reply_that_does_not_match_its_crc32_is_not_believed() -> None:
    good = json.dumps({"A": 1}).encode()
    headers = {"x-amz-crc32": str(zlib.crc32(good))}
    damaged = ScriptedReply(200, headers, good.replace(b"1", b"2"))
    assert Bench(damaged, ScriptedReply(200, headers, good)).call() == {"A": 1}
    bench = Bench(*[damaged] * 4)
    with pytest.raises(IntegrityError):
        bench.call()


def test_denied_says_what_to_allow_and_missing_what_to_make() -> None:
    denied = Bench(refused("AccessDenied", "User: x is not authorized", status=403))
    assert "sqs:DoIt" in str(denied.fails(AccessDenied))
    assert "make the queue" in str(Bench(refused("QueueDoesNotExist")).fails(NoSuchBucket))


def test_half_a_surrogate_is_refused_before_it_is_sent() -> None:
    bench = Bench()
    with pytest.raises(RequestRefused):
        bench.call({"Body": "\ud800"})
    assert bench.service.asked == []


@pytest.mark.parametrize("url", ["", "sqs.example", "ftp://x", "http://", "http://x:port"])
def test_a_bad_endpoint_is_a_configuration_fault(url: str) -> None:
    with pytest.raises(ConfigError, match="SQS endpoint"):
        origin_of(url, title="SQS")


def test_endpoints_keep_their_port() -> None:
    assert origin_of("https://sqs.example", title="SQS").port == 443
    assert origin_of("http://[::1]:4566/", title="SQS").host == "::1"
