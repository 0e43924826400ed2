"""Our side of a dispute: the packet, the coach's words, and what staff tell the bank, or that they give in.

Staff see a version of the dispute and change that one: whoever was second is told, and nothing of theirs is lost.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Length

from coaches.models import Coach
from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.models import User
from payments import operations
from payments.evidence import FILE_FIELDS, TEXT_FIELDS, UnknownEvidence, check_file, check_texts
from payments.models import Dispute, EvidenceFile, Operation
from payments.services.refunding import require_staff_apart

log = structlog.get_logger(__name__)

Status, Evidence, Kind = Dispute.Status, Dispute.Evidence, Operation.Kind

OPEN_STATES = Operation.OPEN_STATES
ANSWERABLE = (Status.NEEDS_RESPONSE, Status.WARNING_NEEDS_RESPONSE)
LONGEST_WORDS = 5000
TAKEN_BACK = "(No statement.)"


class StaleVersion(DomainError):
    code = "stale_version"
    status = 409
    message = "Somebody else has changed this dispute meanwhile. Look at it again, and save once more."


class NotAnswerable(DomainError):
    code = "dispute_not_answerable"
    message = "The bank takes no answer to this dispute any more."


class DisputeOver(DomainError):
    code = "dispute_over"
    message = "The bank has decided, and it is booked."


class DeadlinePassed(DomainError):
    code = "deadline_passed"
    message = "The bank's deadline for this dispute has passed."


class AnswerUnderWay(DomainError):
    code = "answer_under_way"
    message = "Something is on its way to the bank just now. Please try again in a minute."


class FileStaged(DomainError):
    code = "file_staged"
    message = "This file is with the evidence at Stripe, which lets it be replaced by another one only."


class FileRefused(DomainError):
    code = "file_refused"
    message = "Stripe did not take one of the files. Take it away, or attach another one in its place."


class WordsWrong(DomainError):
    code = "words_wrong"
    status = 400
    message = f"Say something, in at most {LONGEST_WORDS:,} characters."


# --- what we know, and what the coach says ------------------------------------------------------


def keep_evidence(*, dispute: Dispute, fields: Mapping[str, str], files: Mapping[str, bytes], now: datetime) -> bool:
    """The packet that builds itself, for staff to read and to change; False where there is one already.

    Raises UnknownEvidence, EvidenceTooLong, WrongKindOfFile, FilesTooLarge.
    """
    check_texts(fields)
    with transaction.atomic():
        none_yet = Dispute.objects.filter(pk=dispute.pk, evidence={})
        if not none_yet.update(evidence=dict(fields), version=F("version") + 1):
            return False
        for field, content in files.items():
            _keep_file(dispute, field, content, now)
    dispute.refresh_from_db(fields=["evidence", "version"])
    return True


def coach_says(*, dispute: Dispute, coach: Coach, words: str, now: datetime) -> None:
    """The coach's side, for staff; they may say it anew as long as staff can use it.

    Raises NotAnswerable, WordsWrong. Dispute.DoesNotExist: it is about another coach.
    """
    if not 0 < len(words.strip()) <= LONGEST_WORDS:
        raise WordsWrong
    with transaction.atomic():
        # The dispute alone: whoever records news of it locks its payment first.
        locked = Dispute.objects.select_for_update(of=("self",)).get(pk=dispute.pk, payment__coach=coach)
        if locked.status not in ANSWERABLE:
            raise NotAnswerable
        locked.coach_says, locked.coach_said_at = words.strip(), now
        locked.save(update_fields=["coach_says", "coach_said_at"])
    dispute.refresh_from_db(fields=["coach_says", "coach_said_at"])


# --- files --------------------------------------------------------------------------------------


@transaction.atomic
def attach_file(
    *, dispute: Dispute, field: str, content: bytes, actor: User, version: int, now: datetime
) -> EvidenceFile:
    """A file in place of what is in the field; it is uploaded at once, and shown to the bank with the evidence.

    Raises UnknownEvidence, WrongKindOfFile, FilesTooLarge, and what `stage_evidence` raises.
    """
    _change(dispute, actor, version, now)
    _drop(dispute, field)
    return _keep_file(dispute, field, content, now)


@transaction.atomic
def detach_file(*, dispute: Dispute, field: str, actor: User, version: int, now: datetime) -> None:
    """As long as Stripe does not have it with the evidence.

    Raises FileStaged, UnknownEvidence, and what `stage_evidence` raises.
    """
    if field not in FILE_FIELDS:
        raise UnknownEvidence
    _change(dispute, actor, version, now)
    if field in _staged(dispute):
        raise FileStaged
    _drop(dispute, field)


def _keep_file(dispute: Dispute, field: str, content: bytes, now: datetime) -> EvidenceFile:
    others = dispute.files.annotate(size=Length("content")).values_list("size", flat=True)
    kind, ending = check_file(field, content, others)
    operation_id = uuid.uuid4()
    file = EvidenceFile.objects.create(
        dispute=dispute,
        field=field,
        # Stripe keeps nothing else of ours with a file: by its name it is found again.
        name=f"{field}-{operation_id}.{ending}",
        content_type=kind,
        content=content,
        created_at=now,
    )
    operations.create(Kind.EVIDENCE_FILE, operation_id=operation_id, params={"file": file.pk}, dispute=dispute, now=now)
    return file


def _drop(dispute: Dispute, field: str) -> None:
    file = dispute.files.filter(field=field).first()
    if file is None:
        return
    if dispute.operations.filter(params={"file": file.pk}, state__in=OPEN_STATES).exists():
        raise AnswerUnderWay
    file.delete()


# --- the answer ---------------------------------------------------------------------------------


def stage_evidence(
    *, dispute: Dispute, fields: Mapping[str, str], actor: User, version: int, now: datetime
) -> Operation:
    """Keep the texts and put all evidence at Stripe, where the bank does not see it yet.

    `fields` are all texts, as they are now. Raises StaleVersion, NotAnswerable, DeadlinePassed, AnswerUnderWay,
    EvidenceTooLong, UnknownEvidence, NotStaff, OwnMoney.
    """
    return _answer(dispute, fields, actor, version, now, submit=False)


def submit_evidence(
    *, dispute: Dispute, fields: Mapping[str, str], actor: User, version: int, now: datetime
) -> Operation:
    """Keep the texts and send all evidence to the bank: once, for good. Raises what `stage_evidence` raises."""
    return _answer(dispute, fields, actor, version, now, submit=True)


@transaction.atomic
def accept_dispute(*, dispute: Dispute, reason: str, actor: User, version: int, now: datetime) -> Operation:
    """The bank is right: lost, for good. Raises what `stage_evidence` raises, but for the evidence."""
    _change(dispute, actor, version, now)
    operation = _ask(Kind.CLOSE_DISPUTE, dispute, uuid.uuid4(), {"dispute": dispute.stripe_dispute_id}, now)
    _log(actor, "dispute_accepted", dispute, reason, now, amount=dispute.amount, currency=dispute.currency)
    return operation


@transaction.atomic
def choose_bearer(
    *, dispute: Dispute, charged_to: Dispute.ChargedTo, reason: str, actor: User, version: int, now: datetime
) -> None:
    """Who bears the coach's share if it is lost. Raises StaleVersion, DisputeOver, NotStaff, OwnMoney."""
    require_staff_apart(actor, dispute.payment)
    before = dispute.charged_to
    mine = Dispute.objects.filter(pk=dispute.pk, version=version, closed_at=None)
    if not mine.update(charged_to=charged_to, version=F("version") + 1, handled_by=actor):
        raise DisputeOver if Dispute.objects.filter(pk=dispute.pk, closed_at__isnull=False).exists() else StaleVersion
    dispute.refresh_from_db(fields=["charged_to", "version", "handled_by"])
    record_decision(
        actor=actor,
        decision="dispute_bearer_chosen",
        subject=dispute,
        reason=reason,
        before={"charged_to": before},
        after={"charged_to": charged_to},
        now=now,
    )


@transaction.atomic
def _answer(
    dispute: Dispute, fields: Mapping[str, str], actor: User, version: int, now: datetime, *, submit: bool
) -> Operation:
    check_texts(fields)
    _change(dispute, actor, version, now, evidence={name: text for name, text in fields.items() if text})
    _require_files_at_stripe(dispute)
    operation_id = uuid.uuid4()
    params = {
        "evidence": _evidence(dispute),
        "submit": submit,
        "metadata": {"operation_id": str(operation_id)},
    }
    sent = {"dispute": dispute.stripe_dispute_id, "params": params}
    operation = _ask(Kind.EVIDENCE, dispute, operation_id, sent, now)
    decision = "evidence_submitted" if submit else "evidence_staged"
    _log(actor, decision, dispute, "", now, fields=sorted(dispute.evidence), files=sorted(_files(dispute)))
    return operation


def _require_files_at_stripe(dispute: Dispute) -> None:
    if dispute.operations.filter(kind=Kind.EVIDENCE_FILE, state__in=OPEN_STATES).exists():
        raise AnswerUnderWay
    if dispute.files.filter(stripe_file_id="").exists():
        raise FileRefused


def _evidence(dispute: Dispute) -> dict[str, str]:
    """What staff see is what the bank gets. Stripe empties no field: a text that was staged there is replaced."""
    emptied = _staged(dispute) & set(TEXT_FIELDS)
    return {**dict.fromkeys(emptied, TAKEN_BACK), **dispute.evidence, **_files(dispute)}


def _staged(dispute: Dispute) -> set[str]:
    """The fields that Stripe was told of before, whether it has answered or not."""
    told = dispute.operations.filter(kind=Kind.EVIDENCE).exclude(state=Operation.State.FAILED)
    return {name for params in told.values_list("params", flat=True) for name in params["params"]["evidence"]}


def _files(dispute: Dispute) -> dict[str, str]:
    return dict(dispute.files.values_list("field", "stripe_file_id"))


# --- what changes share -------------------------------------------------------------------------


def _change(dispute: Dispute, actor: User, version: int, now: datetime, **changes: Any) -> None:
    """One conditional UPDATE that must hit the row; brings `dispute` up to date."""
    require_staff_apart(actor, dispute.payment)
    answerable = Dispute.objects.filter(pk=dispute.pk, version=version, closed_at=None, status__in=ANSWERABLE)
    answerable = answerable.exclude(evidence_state=Evidence.SUBMITTED).exclude(due_by__lte=now)
    if not answerable.update(version=F("version") + 1, handled_by=actor, **changes):
        _refuse(dispute, now)
    dispute.refresh_from_db()


def _refuse(dispute: Dispute, now: datetime) -> NoReturn:
    """Says why the row was not hit."""
    current = Dispute.objects.get(pk=dispute.pk)
    if current.status not in ANSWERABLE or current.evidence_state == Evidence.SUBMITTED or current.closed_at:
        raise NotAnswerable
    if current.due_by and current.due_by <= now:
        raise DeadlinePassed
    raise StaleVersion


def _ask(
    kind: Operation.Kind, dispute: Dispute, operation_id: uuid.UUID, params: dict[str, Any], now: datetime
) -> Operation:
    # Asked of what is committed: to wait for an operation that waits for this dispute would be a deadlock.
    if dispute.operations.filter(kind__in=(Kind.EVIDENCE, Kind.CLOSE_DISPUTE), state__in=OPEN_STATES).exists():
        raise AnswerUnderWay
    return operations.create(kind, operation_id=operation_id, params=params, dispute=dispute, now=now)


def _log(actor: User, decision: str, dispute: Dispute, reason: str, now: datetime, **after: Any) -> None:
    before = {"status": dispute.status, "evidence_state": dispute.evidence_state}
    record_decision(actor=actor, decision=decision, subject=dispute, reason=reason, before=before, after=after, now=now)
