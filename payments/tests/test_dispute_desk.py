"""The dispute desk: the packet read, changed and sent; two members of staff at once; and who may."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace import clock
from marketplace.models import StaffDecision
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role
from payments import services
from payments.evidence import LONGEST_FIELD, MOST_BYTES
from payments.models import Dispute, Payment
from payments.tests import bank, money_back

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

PDF = b"%PDF-1.4 a receipt"
Evidence = Dispute.Evidence


@pytest.fixture
def dispute(sandbox: Sandbox, student: Any, payable_coach: Any, heard: Any) -> Dispute:
    """100.00 USD are disputed; the packet is there."""
    made = bank.disputed(sandbox, money_back.captured(sandbox, student, payable_coach))
    services.keep_evidence(
        dispute=made, fields={"customer_name": "Sam Student"}, files={"receipt": PDF}, now=clock.now()
    )
    money_back.sweep()
    return made


def desk_of(dispute: Dispute) -> str:
    return reverse("admin:payments_dispute_desk", args=[dispute.pk])


def press(client: Client, dispute: Dispute, button: str, **facts: Any) -> Any:
    """With the version as it is now, unless another is named."""
    dispute.refresh_from_db()
    sent = {"version": str(dispute.version), "text-uncategorized_text": "They were there.", button: "yes", **facts}
    return client.post(desk_of(dispute), sent)


def fresh(dispute: Dispute) -> Dispute:
    bank.hear()
    dispute.refresh_from_db()
    return dispute


def test_it_tells_what_it_is_about_and_what_it_did_to_the_money(dispute: Dispute) -> None:
    page = as_role("finance").get(desk_of(dispute)).content.decode()
    for words in ("fraudulent", "$100.00 of $100.00 taken", "dispute withdrawn", "disputes_held $100.00",
                  "stripe_fees $15.00", "Sam Student", "nothing yet; not asked yet"):  # fmt: skip
        assert words in page


def test_staging_stores_the_texts_and_puts_them_at_stripe(dispute: Dispute, sandbox: Sandbox) -> None:
    assert press(as_role("finance"), dispute, "stage").status_code == 302
    assert fresh(dispute).evidence == {"uncategorized_text": "They were there."}
    assert dispute.evidence_state == Evidence.STAGED
    assert bank.at_stripe(sandbox, dispute)["evidence"]["uncategorized_text"] == "They were there."
    assert bank.at_stripe(sandbox, dispute)["status"] == "needs_response"


def test_submitting_needs_that_one_is_sure(dispute: Dispute, sandbox: Sandbox) -> None:
    client = as_role("finance")
    page = press(client, dispute, "submit")
    assert page.status_code == 400
    assert page.context["desk"].texts["uncategorized_text"].value() == "They were there."
    assert fresh(dispute).evidence_state == Evidence.NONE

    assert press(client, dispute, "submit", **{"submit-sure": "on"}).status_code == 302
    assert fresh(dispute).evidence_state == Evidence.SUBMITTED
    assert bank.at_stripe(sandbox, dispute)["status"] == "under_review"
    assert "Submit to the bank" not in client.get(desk_of(dispute)).content.decode()


def test_accepting_needs_a_reason_and_loses_it(dispute: Dispute, sandbox: Sandbox) -> None:
    client = as_role("finance")
    assert press(client, dispute, "accept", **{"accept-sure": "on"}).status_code == 400
    answer = press(client, dispute, "accept", **{"accept-sure": "on", "accept-reason": "It was not them."})
    assert answer.status_code == 302
    assert fresh(dispute).status == Dispute.Status.LOST
    assert StaffDecision.objects.get().reason == "It was not them."


def test_choosing_who_bears_it_loses_nothing_that_was_typed(dispute: Dispute) -> None:
    page = press(
        as_role("finance"), dispute, "bearer", **{"bearer-charged_to": "platform", "bearer-reason": "Our own fault."}
    )
    assert page.status_code == 200
    assert page.context["desk"].texts["uncategorized_text"].value() == "They were there."
    dispute.refresh_from_db()
    assert (dispute.charged_to, dispute.evidence) == ("platform", {"customer_name": "Sam Student"})


def test_a_colleague_who_was_first_is_told_and_both_texts_are_there(dispute: Dispute) -> None:
    client, seen = as_role("finance"), dispute.version
    press(as_role("finance"), dispute, "stage", **{"text-uncategorized_text": "The colleague's."})
    fresh(dispute)

    page = press(client, dispute, "stage", version=str(seen))
    assert page.status_code == 409
    shown = page.content.decode()
    assert "Somebody else has changed this dispute meanwhile." in shown
    assert "They were there." in shown
    assert "As it is stored now: The colleague&#x27;s." in shown
    assert fresh(dispute).evidence == {"uncategorized_text": "The colleague's."}
    # The page knows the newer state now: saved once more, it counts.
    assert page.context["dispute"].version == dispute.version


def test_a_text_that_is_too_long_is_kept_on_the_page_and_not_stored(dispute: Dispute) -> None:
    long = "x" * (LONGEST_FIELD + 5)
    page = press(as_role("finance"), dispute, "stage", **{"text-uncategorized_text": long})
    assert page.status_code == 400
    assert "Uncategorized text is 5 characters too long" in page.content.decode()
    assert page.context["desk"].texts["uncategorized_text"].value() == long
    assert fresh(dispute).evidence == {"customer_name": "Sam Student"}


def test_line_ends_are_stored_as_they_were_typed(dispute: Dispute) -> None:
    press(as_role("finance"), dispute, "stage", **{"text-uncategorized_text": "One\r\ntwo"})
    assert fresh(dispute).evidence["uncategorized_text"] == "One\ntwo"


# --- files --------------------------------------------------------------------------------------


def test_files_are_looked_at_added_and_taken_out(dispute: Dispute) -> None:
    client = as_role("finance")
    file = dispute.files.get()
    seen = client.get(reverse("admin:payments_dispute_file", args=[file.pk]))
    assert (seen.content, seen["Content-Type"], seen["X-Content-Type-Options"]) == (PDF, "application/pdf", "nosniff")

    picture = SimpleUploadedFile("mine.png", b"\x89PNG\r\n\x1a\n1")
    added = press(client, dispute, "attach", **{"attach-field": "customer_communication", "attach-file": picture})
    assert added.status_code == 200
    assert press(client, dispute, "detach", detach="receipt").status_code == 200
    assert list(dispute.files.values_list("field", "content_type")) == [("customer_communication", "image/png")]


def test_a_file_of_a_wrong_kind_is_refused_and_the_texts_stay(dispute: Dispute) -> None:
    page = press(
        as_role("finance"), dispute, "attach",
        **{"attach-field": "refund_policy", "attach-file": SimpleUploadedFile("x.pdf", b"MZ an .exe")},
    )  # fmt: skip
    assert page.status_code == 400
    assert "The bank reads PDF, JPEG and PNG files only." in page.content.decode()
    assert page.context["desk"].texts["uncategorized_text"].value() == "They were there."
    assert dispute.files.count() == 1


def test_a_file_that_is_too_large_is_never_read(dispute: Dispute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "attach_file", lambda **_: pytest.fail("it was read"))
    large = SimpleUploadedFile("large.pdf", PDF + b" " * MOST_BYTES)
    page = press(
        as_role("finance"), dispute, "attach", **{"attach-field": "refund_policy", "attach-file": large}
    )  # fmt: skip
    assert page.status_code == 400
    assert "All files together may have 4.5 MB at most." in page.content.decode()


@pytest.mark.parametrize("field", ["nonsense", "receipt\x00"])
def test_what_is_no_field_of_a_file_is_not_taken_out(dispute: Dispute, field: str) -> None:
    before = fresh(dispute).version
    assert press(as_role("finance"), dispute, "detach", detach=field).status_code == 400
    assert fresh(dispute).version == before
    assert dispute.files.count() == 1


# --- who may ------------------------------------------------------------------------------------


BUTTONS = ("stage", "submit", "accept", "bearer", "attach", "detach")


@pytest.mark.parametrize("button", BUTTONS)
def test_support_reads_it_and_presses_nothing(dispute: Dispute, button: str) -> None:
    client, before = as_role("support"), dispute.version
    page = client.get(desk_of(dispute))
    assert page.status_code == 200
    assert f'name="{button}"' not in page.content.decode()
    assert press(client, dispute, button).status_code == 403
    assert fresh(dispute).version == before


def test_staff_without_any_right_see_neither_desk_nor_file(dispute: Dispute) -> None:
    client = as_role()
    assert client.get(desk_of(dispute)).status_code == 403
    assert client.get(reverse("admin:payments_dispute_file", args=[dispute.files.get().pk])).status_code == 403


def test_a_button_that_there_is_not_does_nothing(dispute: Dispute) -> None:
    assert press(as_role("finance"), dispute, "win").status_code == 404


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dispute", "fraudwarning", "reversal", "refund"])
def test_the_lists_open_for_those_who_may(dispute: Dispute, name: str) -> None:
    assert as_role("finance").get(reverse(f"admin:payments_{name}_changelist")).status_code == 200
    assert as_role().get(reverse(f"admin:payments_{name}_changelist")).status_code == 403


def test_a_longer_list_of_disputes_costs_no_more_queries(dispute: Dispute) -> None:
    client, address, counts = as_role("finance"), reverse("admin:payments_dispute_changelist"), []
    client.get(address)
    for number in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        counts.append(len(queries))
        Dispute.objects.create(
            stripe_dispute_id=f"dp_{number}", payment=dispute.payment, charge_id="ch", amount=1, currency="usd",
            reason="general", status="won", opened_at=clock.now(),
        )  # fmt: skip
    assert counts[0] == counts[1]


def test_an_early_warning_is_let_stand_with_a_word_in_the_log(sandbox: Sandbox, dispute: Dispute) -> None:
    payment = Payment.objects.get(pk=dispute.payment_id)
    warning = payment.fraud_warnings.create(
        stripe_warning_id="issfr_1", fraud_type="misc", actionable=True, warned_at=clock.now()
    )
    address = reverse("admin:payments_fraudwarning_changelist")
    chosen = {"action": "let_stand", "_selected_action": [warning.pk]}
    as_role("support").post(address, chosen)
    warning.refresh_from_db()
    assert warning.settled_at is None

    as_role("finance").post(address, chosen)
    warning.refresh_from_db()
    assert warning.settled_at is not None
    assert StaffDecision.objects.get().decision == "fraud_warning_settled"
