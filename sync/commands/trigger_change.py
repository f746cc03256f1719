"""From what is wanted to what stands in the bucket: judged, then written with a look before
and a look after, since S3 has no conditional put for notifications.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import Final

from sync.adapters.notification_plan import (
    Document,
    KeyFilter,
    Plan,
    differences,
    plan_add,
    same,
    wanted,
)
from sync.adapters.trigger_policy import Grant, Sender, bucket_arn, grant, has_statement, merged
from sync.adapters.triggers import TargetQueue, TriggerCalls
from sync.errors import (
    AccessDenied,
    ConfigError,
    CredentialsRejected,
    PreconditionFailed,
    RequestRefused,
    StoreError,
    SyncError,
)

_LOOKS: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
# SQS: "the change can take up to 60 seconds"; S3 asks the queue when it is told to send to it.
_POLICY_PAUSE: Final = 5.0
_POLICY_TRIES: Final = 16
_VALIDATE: Final = "destination configurations"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRequest:
    """What ``add`` is to do. ``owner`` is the buckets' account, "" for the queue's.

    ``aws``: the source is Amazon's own, whose regions and owners can be checked.
    """

    filters: Mapping[str, Sequence[KeyFilter]]
    events: Sequence[str]
    encoded: bool
    replace: bool
    aws: bool
    owner: str
    set_policy: bool
    skip_validation: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """A bucket's plan, and how the queue's policy stands to the bucket.

    ``policy_helps``: the policy has not our statement yet, and it would let the bucket in.
    """

    plan: Plan
    owner: str
    sender: Sender
    grant: Grant
    policy_helps: bool


@dataclass(slots=True)
class Proposals:
    """All buckets' plans, with what forbids them and what is to be thought of."""

    each: list[Proposal] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def strangers(self) -> list[Sender]:
        """The buckets that the queue's policy does not let in as it should."""
        return [each.sender for each in self.each if each.grant is not Grant.GRANTED]

    @property
    def to_let_in(self) -> list[Sender]:
        """The buckets that a statement of ours would let in."""
        return [each.sender for each in self.each if each.policy_helps]


def propose(calls: TriggerCalls, queue: TargetQueue, request: AddRequest) -> Proposals:
    """A plan for every bucket. ConfigError where no plan can be made."""
    found = Proposals(warnings=_slash_warnings(request))
    impossible: list[str] = []
    _judge_queue(queue, request, found)
    for bucket, filters in request.filters.items():
        try:
            found.each.append(_propose(calls, queue, request, bucket, filters))
        except ConfigError as error:
            impossible.extend(error.faults)
    if impossible:
        raise ConfigError(*impossible)
    for proposal in found.each:
        _judge(calls, queue, request, proposal, found)
    return found


def _propose(
    calls: TriggerCalls,
    queue: TargetQueue,
    request: AddRequest,
    bucket: str,
    filters: Sequence[KeyFilter],
) -> Proposal:
    owner = request.owner or queue.account
    document = _owned(calls, bucket, owner, request) if request.aws else calls.notifications(bucket)
    new = wanted(
        bucket, filters, queue_arn=queue.arn, events=request.events, encoded=request.encoded
    )
    sender = Sender(bucket_arn=bucket_arn(bucket, queue.arn), account=owner, queue_arn=queue.arn)
    given = grant(queue.policy, sender)
    lacks = given in {Grant.MISSING, Grant.UNSURE} and not has_statement(queue.policy, sender)
    plan = plan_add(bucket, document, new, replace=request.replace)
    return Proposal(plan, owner if request.aws else "", sender, given, policy_helps=lacks)


def _owned(calls: TriggerCalls, bucket: str, owner: str, request: AddRequest) -> Document:
    """The document, where the bucket is of that account: the condition on it must be right."""
    try:
        return calls.notifications(bucket, owner=owner)
    except CredentialsRejected:
        raise
    except AccessDenied:
        if request.owner:
            raise
    calls.notifications(bucket)
    raise ConfigError(
        f"bucket {bucket}: belongs to another account than the queue ({owner}); name its account "
        "with --bucket-owner"
    )


def _slash_warnings(request: AddRequest) -> list[str]:
    prefixes = {keys.prefix for filters in request.filters.values() for keys in filters}
    return [
        f"prefix {prefix!r}: keys seldom begin with a slash; S3 takes it as it stands"
        for prefix in sorted(prefixes)
        if prefix.startswith("/")
    ]


def _judge_queue(queue: TargetQueue, request: AddRequest, found: Proposals) -> None:
    if queue.fifo:
        found.faults.append(
            f"queue {queue.arn}: is a FIFO queue, which S3 does not send to; name a standard one"
        )
    if queue.aws_managed_key:
        text = (
            f"queue {queue.arn}: is encrypted with aws/sqs, a key whose policy cannot let S3 in; "
            "use SQS's own keys (SSE-SQS), or a KMS key of yours"
        )
        (found.warnings if request.skip_validation else found.faults).append(text)
    elif queue.kms_key:
        found.warnings.append(
            f"queue {queue.arn}: is encrypted with {queue.kms_key}, whose policy must allow "
            "kms:GenerateDataKey and kms:Decrypt to s3.amazonaws.com; not looked at"
        )


def _judge(
    calls: TriggerCalls,
    queue: TargetQueue,
    request: AddRequest,
    proposal: Proposal,
    found: Proposals,
) -> None:
    bucket = proposal.plan.bucket
    region = calls.region_of(bucket) if request.aws else ""
    if region and region != queue.region:
        found.faults.append(
            f"bucket {bucket}: is in {region}, the queue in {queue.region}; S3 sends to a queue "
            "of its own region only: name one there with --queue"
        )
    lenient = request.skip_validation or request.set_policy
    if proposal.grant is Grant.MISSING and not lenient:
        found.faults.append(
            f"queue {queue.arn}: its policy does not let S3 send for bucket {bucket}; add the "
            "statement shown, or run again with --set-queue-policy"
        )
    elif text := _remark(proposal.grant, bucket):
        serious = proposal.grant is Grant.DENIED and not request.skip_validation
        (found.faults if serious else found.warnings).append(f"queue {queue.arn}: {text}")


def _remark(given: Grant, bucket: str) -> str:
    return {
        Grant.DENIED: f"its policy denies S3 to send for bucket {bucket}; mend the Deny statement",
        Grant.UNSURE: f"whether its policy lets S3 send for bucket {bucket} depends on conditions "
        "not judged here; S3 will tell",
        Grant.LOOSE: "its policy lets S3 send for others too, without conditions on aws:SourceArn "
        "and aws:SourceAccount; the statement shown should stand in its place",
    }.get(given, "")


def set_policy(calls: TriggerCalls, queue: TargetQueue, senders: Sequence[Sender]) -> None:
    """Merge our statement into the queue's policy as it is now, and see that it is there."""
    text = calls.queue(queue.arn).policy
    for sender in senders:
        text = merged(text, sender)
    calls.set_policy(queue, text)
    for pause in _LOOKS:
        sleep(pause)
        policy = calls.queue(queue.arn).policy
        if all(has_statement(policy, sender) for sender in senders):
            return
    raise StoreError(
        f"queue {queue.arn}: the policy was set, but is not there; somebody else may have set it "
        "at the same time: run it again"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Puts plans into buckets. ``patient``: the queue's policy was set a moment ago."""

    calls: TriggerCalls
    skip_validation: bool = False
    patient: bool = False

    def write(self, plan: Plan, owner: str = "") -> None:
        """Write one plan. PreconditionFailed where the bucket's configuration is not what the
        plan was made from: nothing is written then. StoreError where another change got
        between.
        """
        now = self.calls.notifications(plan.bucket, owner=owner)
        if not same(now, plan.before):
            changes = "; ".join(differences(plan.before, now))
            raise PreconditionFailed(
                f"bucket {plan.bucket}: its notifications were changed meanwhile ({changes}); "
                "nothing was written, run it again"
            )
        self._put(plan, owner)
        self._verify(plan, owner)

    def _put(self, plan: Plan, owner: str) -> None:
        for left in reversed(range(_POLICY_TRIES)):
            try:
                self.calls.put_notifications(
                    plan.bucket, plan.after, owner=owner, skip_validation=self.skip_validation
                )
            except RequestRefused as error:
                if _VALIDATE not in str(error):
                    raise
                if not (left and self.patient):
                    raise _unvalidated(error) from None
            else:
                return
            sleep(_POLICY_PAUSE)

    def _verify(self, plan: Plan, owner: str) -> None:
        found: Document = {}
        for pause in _LOOKS:
            sleep(pause)
            found = self.calls.notifications(plan.bucket, owner=owner)
            if same(found, plan.after):
                return
        changes = "; ".join(differences(plan.after, found))
        raise StoreError(
            f"bucket {plan.bucket}: was written, but what is there now is something else "
            f"({changes}); somebody else may have written at the same time: look with "
            "`3gsync triggers list` and run it again"
        )


def _unvalidated(error: SyncError) -> RequestRefused:
    return RequestRefused(
        f"{error}; S3 sends a test message to every queue and topic of the bucket, other people's "
        "too: mend the policy of the one named, or run with --skip-destination-validation"
    )
