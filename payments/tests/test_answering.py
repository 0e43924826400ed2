"""Our side of a dispute at the sandbox: kept, changed by two people, staged, submitted with files, or given up."""

from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import CoachFactory, UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import operations, services
from payments.errors import NotStaff, OwnMoney
from payments.evidence import TEXT_FIELDS, EvidenceTooLong, FilesTooLarge, UnknownEvidence, WrongKindOfFile
from payments.models import Dispute, Operation
from payments.tests import bank, stage
from payments.tests.money_back import assert_agreed, books, captured, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

PDF, PNG, JPEG = b"%PDF-1.4 proof", b"\x89PNG\r\n\x1a\n proof", b"\xff\xd8\xff proof"
TEXTS = {"customer_name": "Sam Student", "uncategorized_text": "They were there for an hour."}


@pytest.fixture
def dispute(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Dispute:
    """Of 100.00 USD, with a packet of two texts and a PDF that is uploaded."""
    made = bank.disputed(sandbox, captured(sandbox, student, payable_coach))
    services.keep_evidence(dispute=made, fields=TEXTS, files={"receipt": PDF}, now=clock.now())
    sweep()
    return made


@pytest.fixture
def colleague(db: None) -> User:
    return UserFactory.create(email="colleague@example.com", is_staff=True)


def attach(dispute: Dispute, actor: User, field: str, content: bytes, **facts: Any) -> None:
    facts = {"version": dispute.version, "now": clock.now(), **facts}
    services.attach_file(dispute=dispute, actor=actor, field=field, content=content, **facts)
    sweep()


# --- the way of an answer -----------------------------------------------------------------------


def test_the_packet_is_kept_once_and_its_files_are_uploaded(sandbox: Sandbox, dispute: Dispute) -> None:
    again = services.keep_evidence(dispute=dispute, fields={"customer_name": "X"}, files={}, now=clock.now())
    assert (again, dispute.evidence) == (False, TEXTS)
    file = dispute.files.get()
    uploaded = stage.at_stripe(sandbox, f"/v1/files/{file.stripe_file_id}")
    assert (uploaded["purpose"], uploaded["size"], uploaded["filename"]) == ("dispute_evidence", len(PDF), file.name)


def test_staged_evidence_is_at_stripe_and_not_with_the_bank(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    bank.answered(dispute, staff, submit=False, fields={**TEXTS, "service_date": "2026-11-20"})
    there = bank.at_stripe(sandbox, dispute)
    assert (there["status"], there["evidence_details"]["submission_count"]) == ("needs_response", 0)
    assert there["evidence"]["service_date"] == "2026-11-20"
    assert there["evidence"]["receipt"] == dispute.files.get().stripe_file_id
    assert (dispute.evidence_state, dispute.handled_by) == (Dispute.Evidence.STAGED, staff)
    assert_agreed(sandbox)


def test_what_was_staged_is_replaced_as_stripe_empties_nothing(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    bank.answered(dispute, staff, submit=False)
    with pytest.raises(services.FileStaged):
        services.detach_file(dispute=dispute, field="receipt", actor=staff, version=dispute.version, now=clock.now())
    dispute.refresh_from_db()
    attach(dispute, staff, "receipt", PNG)
    bank.answered(dispute, staff, submit=False, fields={"customer_name": "Sam Student", "uncategorized_text": ""})
    evidence = bank.at_stripe(sandbox, dispute)["evidence"]
    assert evidence["uncategorized_text"] == "(No statement.)"
    assert (evidence["customer_name"], evidence["receipt"]) == ("Sam Student", dispute.files.get().stripe_file_id)
    assert bytes(dispute.files.get().content) == PNG


def test_a_file_that_is_not_staged_can_be_taken_away(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    services.detach_file(dispute=dispute, field="receipt", actor=staff, version=dispute.version, now=clock.now())
    bank.answered(dispute, staff, submit=True)
    assert bank.at_stripe(sandbox, dispute)["evidence"]["receipt"] is None


def test_evidence_is_submitted_with_its_files_and_wins(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    attach(dispute, staff, "uncategorized_file", PNG)
    attach(dispute, staff, "customer_communication", JPEG)
    bank.answered(dispute, staff, submit=True, fields={**TEXTS, "uncategorized_text": "winning_evidence"})
    evidence = bank.at_stripe(sandbox, dispute)["evidence"]
    for file in dispute.files.all():
        assert evidence[file.field] == file.stripe_file_id
    assert (dispute.status, dispute.evidence_state) == ("won", Dispute.Evidence.SUBMITTED)
    assert dispute.closed_at is not None
    assert [each.decision for each in StaffDecision.objects.all()] == ["evidence_submitted"]
    assert_agreed(sandbox)


def test_evidence_is_submitted_once(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    bank.answered(dispute, staff, submit=True)
    assert dispute.status == "under_review"
    for submit in (False, True):
        with pytest.raises(services.NotAnswerable):
            bank.answer(dispute, staff, submit=submit)
    assert stage.effects(sandbox, f"/v1/disputes/{dispute.stripe_dispute_id}") == 1


def test_an_accepted_dispute_is_lost(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    services.accept_dispute(
        dispute=dispute, reason="They are right.", actor=staff, version=dispute.version, now=clock.now()
    )
    sweep()
    bank.hear()
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_state) == ("lost", Dispute.Evidence.ACCEPTED)
    assert books("disputes_held") == 0
    decision = StaffDecision.objects.get()
    assert (decision.decision, decision.reason, decision.actor) == ("dispute_accepted", "They are right.", staff)
    assert_agreed(sandbox)


def test_an_inquiry_is_answered_too(sandbox: Sandbox, student: User, payable_coach: Coach, staff: User) -> None:
    inquiry = bank.disputed(sandbox, captured(sandbox, student, payable_coach, reference="lesson:1"), inquiry=True)
    bank.answered(inquiry, staff, submit=True, fields=TEXTS)
    assert (inquiry.status, inquiry.evidence_state) == ("warning_under_review", Dispute.Evidence.SUBMITTED)
    bank.escalate(sandbox, inquiry)
    assert (inquiry.status, inquiry.evidence_state) == ("needs_response", Dispute.Evidence.STAGED)
    bank.answered(inquiry, staff, submit=True, fields=TEXTS)
    assert inquiry.status == "under_review"
    assert_agreed(sandbox)


# --- two people, and too late -------------------------------------------------------------------


def test_whoever_saves_an_older_version_is_told_and_loses_nothing(
    sandbox: Sandbox, dispute: Dispute, staff: User, colleague: User
) -> None:
    read = dispute.version
    bank.answered(dispute, staff, submit=False, fields={**TEXTS, "service_date": "staff's"})
    with pytest.raises(services.StaleVersion):
        bank.answer(dispute, colleague, submit=True, version=read, fields={"service_date": "the colleague's"})
    with pytest.raises(services.StaleVersion):
        attach(dispute, colleague, "receipt", PNG, version=read)
    with pytest.raises(services.StaleVersion):
        services.accept_dispute(dispute=dispute, reason="", actor=colleague, version=read, now=clock.now())
    with pytest.raises(services.StaleVersion):
        services.choose_bearer(
            dispute=dispute,
            charged_to=Dispute.ChargedTo.PLATFORM,
            reason="",
            actor=colleague,
            version=read,
            now=clock.now(),
        )
    dispute.refresh_from_db()
    assert (dispute.evidence["service_date"], dispute.handled_by, dispute.status) == (
        "staff's",
        staff,
        "needs_response",
    )
    assert dispute.charged_to == Dispute.ChargedTo.COACH


def test_a_second_answer_waits_for_the_first(dispute: Dispute, staff: User) -> None:
    bank.answer(dispute, staff, submit=False)
    with pytest.raises(services.AnswerUnderWay):
        bank.answer(dispute, staff, submit=True)
    dispute.refresh_from_db()
    with pytest.raises(services.AnswerUnderWay):
        services.accept_dispute(dispute=dispute, reason="", actor=staff, version=dispute.version, now=clock.now())
    assert Operation.objects.filter(kind=Operation.Kind.EVIDENCE).count() == 1
    dispute.refresh_from_db()
    assert StaffDecision.objects.count() == 1


def test_nothing_is_sent_while_a_file_is_on_its_way(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    services.attach_file(
        dispute=dispute, field="receipt", content=PNG, actor=staff, version=dispute.version, now=clock.now()
    )
    for act in (
        lambda: bank.answer(dispute, staff, submit=True),
        lambda: services.detach_file(
            dispute=dispute, field="receipt", actor=staff, version=dispute.version, now=clock.now()
        ),
    ):
        with pytest.raises(services.AnswerUnderWay):
            act()
        dispute.refresh_from_db()
    assert stage.effects(sandbox, "/v1/disputes") == 0


def test_after_the_deadline_nothing_can_be_sent(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    bank.days_later(sandbox, 30)
    with pytest.raises(services.DeadlinePassed):
        bank.answer(dispute, staff, submit=True)
    bank.hear()
    dispute.refresh_from_db()
    assert dispute.status == "lost"
    with pytest.raises(services.NotAnswerable):
        bank.answer(dispute, staff, submit=True)
    with pytest.raises(services.DisputeOver):
        services.choose_bearer(
            dispute=dispute,
            charged_to=Dispute.ChargedTo.PLATFORM,
            reason="",
            actor=staff,
            version=dispute.version,
            now=clock.now(),
        )
    assert_agreed(sandbox)


def test_only_staff_apart_from_it_answer(dispute: Dispute, student: User, stranger: User, payable_coach: Coach) -> None:
    User.objects.filter(pk__in=(student.pk, payable_coach.user_id)).update(is_staff=True)
    for actor, refusal in ((stranger, NotStaff), (student, OwnMoney), (payable_coach.user, OwnMoney)):
        with pytest.raises(refusal):
            bank.answer(dispute, actor, submit=True)
    assert StaffDecision.objects.count() == 0


# --- lost answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["reset_before_effect", "reset_after_effect", "truncate_body"])
def test_a_lost_answer_leads_to_one_submission(action: str, sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    path = f"/v1/disputes/{dispute.stripe_dispute_id}"
    stage.break_next(sandbox, action, path)
    operation = bank.answered(dispute, staff, submit=True)
    assert (operation.state, dispute.status, stage.effects(sandbox, path)) == ("done", "under_review", 1)


@pytest.mark.parametrize("action", ["reset_before_effect", "reset_after_effect"])
def test_a_lost_answer_leads_to_one_file(action: str, sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    stage.break_next(sandbox, action, "/v1/files")
    attach(dispute, staff, "uncategorized_file", PNG)
    bank.sweep_again()
    assert dispute.files.get(field="uncategorized_file").stripe_file_id
    assert stage.effects(sandbox, "/v1/files") == 2


@pytest.mark.parametrize("what", ["file", "evidence", "close"])
def test_what_was_done_under_a_forgotten_key_is_looked_up(
    what: str, sandbox: Sandbox, dispute: Dispute, staff: User
) -> None:
    path = "/v1/files" if what == "file" else f"/v1/disputes/{dispute.stripe_dispute_id}"
    done = stage.effects(sandbox, path)
    stage.break_next(sandbox, "reset_after_effect", path + ("/close" if what == "close" else ""))
    version, now = dispute.version, clock.now()
    if what == "file":
        services.attach_file(dispute=dispute, field="receipt", content=PNG, actor=staff, version=version, now=now)
    elif what == "evidence":
        bank.answer(dispute, staff, submit=True)
    else:
        services.accept_dispute(dispute=dispute, reason="", actor=staff, version=version, now=now)
    operations.sweep(now=clock.now())
    Operation.objects.filter(state=Operation.State.UNKNOWN).update(must_look_up=True)
    bank.sweep_again()
    assert not Operation.objects.exclude(state=Operation.State.DONE).exists()
    assert stage.effects(sandbox, path) == done + 1


def test_what_stripe_refuses_is_left_to_staff(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    refusal = {"error": {"type": "invalid_request_error", "message": "No."}}
    path = f"/v1/disputes/{dispute.stripe_dispute_id}"
    stage.break_next(sandbox, "respond", path, status=400, body=refusal)
    operation = bank.answered(dispute, staff, submit=True)
    assert (operation.state, operation.error_message, dispute.status) == ("failed", "No.", "needs_response")
    assert bank.answered(dispute, staff, submit=True).state == "done"


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"uncategorized_text": "x" * 20_001}, EvidenceTooLong),
        (dict.fromkeys(TEXT_FIELDS[:8], "x" * 19_000), EvidenceTooLong),
        ({"password": "x"}, UnknownEvidence),
        ({"receipt": "file_1"}, UnknownEvidence),
    ],
)
def test_what_the_bank_would_not_read_is_refused(
    fields: dict[str, str], refusal: type[DomainError], sandbox: Sandbox, dispute: Dispute, staff: User
) -> None:
    with pytest.raises(refusal):
        bank.answer(dispute, staff, submit=True, fields=fields)
    dispute.refresh_from_db()
    assert dispute.evidence == TEXTS
    assert stage.effects(sandbox, "/v1/disputes") == 0


def test_the_longest_text_is_taken(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    bank.answered(dispute, staff, submit=True, fields={"uncategorized_text": "x" * 20_000})
    assert dispute.status == "under_review"


@pytest.mark.parametrize(
    ("field", "content", "refusal"),
    [
        ("receipt", b"GIF89a", WrongKindOfFile),
        ("receipt", b"", WrongKindOfFile),
        ("receipt", b"<html>%PDF-", WrongKindOfFile),
        ("receipt", PDF + b"x" * 4_500_000, FilesTooLarge),
        ("customer_name", PDF, UnknownEvidence),
    ],
)
def test_files_of_a_wrong_kind_or_size_are_refused(
    field: str, content: bytes, refusal: type[DomainError], sandbox: Sandbox, dispute: Dispute, staff: User
) -> None:
    with pytest.raises(refusal):
        attach(dispute, staff, field, content)
    assert bytes(dispute.files.get().content) == PDF
    assert stage.effects(sandbox, "/v1/files") == 1


def test_all_files_together_have_a_limit(dispute: Dispute, staff: User) -> None:
    attach(dispute, staff, "uncategorized_file", PNG + b"x" * 4_499_900)
    dispute.refresh_from_db()
    with pytest.raises(FilesTooLarge):
        attach(dispute, staff, "customer_communication", PNG + b"x" * 100)


# --- the coach ----------------------------------------------------------------------------------


def test_only_its_coach_says_something_about_a_dispute(dispute: Dispute, payable_coach: Coach) -> None:
    services.coach_says(dispute=dispute, coach=payable_coach, words=" We spoke for an hour. ", now=clock.now())
    assert dispute.coach_says == "We spoke for an hour."
    for words in ("", " \n", "x" * 5_001):
        with pytest.raises(services.WordsWrong):
            services.coach_says(dispute=dispute, coach=payable_coach, words=words, now=clock.now())
    with pytest.raises(Dispute.DoesNotExist):
        services.coach_says(dispute=dispute, coach=CoachFactory.create(), words="Me too.", now=clock.now())
    dispute.refresh_from_db()
    assert dispute.coach_says == "We spoke for an hour."


def test_once_it_is_answered_the_coachs_words_come_too_late(
    sandbox: Sandbox, dispute: Dispute, payable_coach: Coach, staff: User
) -> None:
    bank.answered(dispute, staff, submit=True)
    with pytest.raises(services.NotAnswerable):
        services.coach_says(dispute=dispute, coach=payable_coach, words="Wait!", now=clock.now())
