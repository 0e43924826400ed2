"""Receipts: what was taken and what went back, for the payer alone, as a page and as a PDF."""

import pypdfium2
import pytest
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace.lib.pdf import Rows, Text, document
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Dispute, Payment, Refund
from payments.receipts import receipt_of, receipt_pdf, receipts_of
from payments.tests import bank
from payments.tests.money_back import captured, give_back, given_back

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("heard")]


@pytest.fixture
def taken(sandbox: Sandbox, student: User, payable_coach: Coach) -> Payment:
    """100.00 USD."""
    return captured(sandbox, student, payable_coach)


@pytest.fixture
def as_payer(client: Client, student: User) -> Client:
    client.force_login(student)
    return client


def page(payment: Payment) -> str:
    return reverse("payments:receipt", args=[payment.pk])


def file(payment: Payment) -> str:
    return reverse("payments:receipt_file", args=[payment.pk])


def lines(payment: Payment) -> tuple[list[tuple[str, str]], str]:
    payment.refresh_from_db()
    receipt = receipt_of(payment)
    assert receipt is not None
    return [(line.words, str(line.money)) for line in receipt.lines], str(receipt.total)


def test_a_receipt_says_what_was_taken_for_what_and_from_whom(taken: Payment, as_payer: Client) -> None:
    assert lines(taken) == ([("Taken from the card", "$100.00")], "$100.00")
    text = as_payer.get(page(taken)).content.decode()
    for words in (f"Receipt {taken.pk:08d}", "One hour of piano", "Sam Student (student@example.com)", "Carla Coach"):
        assert words in text
    assert reverse("payments:receipt_file", args=[taken.pk]) in text


def test_it_is_corrected_after_each_refund(taken: Payment, as_payer: Client) -> None:
    before = as_payer.get(file(taken)).content
    given_back(taken, 2_500)
    assert lines(taken) == ([("Taken from the card", "$100.00"), ("Refunded", "-$25.00")], "$75.00")
    after = as_payer.get(file(taken)).content
    assert after != before
    given_back(taken, 7_500)
    assert lines(taken)[1] == "$0.00"
    assert lines(taken)[0][1:] == [("Refunded", "-$25.00"), ("Refunded", "-$75.00")]
    assert as_payer.get(file(taken)).content != after


def test_a_refund_that_is_not_there_yet_or_failed_corrects_nothing(taken: Payment) -> None:
    refund = give_back(taken, 2_500)
    assert lines(taken)[1] == "$100.00"
    Refund.objects.filter(pk=refund.pk).update(status=Refund.Status.FAILED)
    assert lines(taken)[1] == "$100.00"


def test_a_lost_dispute_corrects_it_and_one_that_is_open_or_won_does_not(taken: Payment, sandbox: Sandbox) -> None:
    dispute = bank.disputed(sandbox, taken)
    assert lines(taken)[1] == "$100.00"
    bank.decide(sandbox, dispute, "lost")
    assert lines(taken) == ([("Taken from the card", "$100.00"), ("Returned by your bank", "-$100.00")], "$0.00")
    Dispute.objects.update(status=Dispute.Status.WON)
    assert lines(taken)[1] == "$100.00"


def test_of_a_part_it_says_of_how_much(taken: Payment) -> None:
    Payment.objects.filter(pk=taken.pk).update(captured_amount=5_000)
    assert lines(taken) == ([("Taken from the card, of $100.00", "$50.00")], "$50.00")


def test_the_same_facts_give_the_same_bytes(taken: Payment, as_payer: Client) -> None:
    answer = as_payer.get(file(taken))
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == f'attachment; filename="receipt-{taken.pk:08d}.pdf"'
    assert answer.content.startswith(b"%PDF-")
    assert answer.content == as_payer.get(file(taken)).content
    receipt = receipt_of(taken)
    assert receipt is not None
    assert receipt_pdf(receipt, zone="Asia/Tokyo") != receipt_pdf(receipt, zone="Europe/Berlin")


def test_nobody_else_reads_it(taken: Payment, stranger: User, coach: Coach, staff: User) -> None:
    for address in (page(taken), file(taken)):
        assert Client().get(address).status_code == 302
        for nobody in (stranger, coach.user, staff):
            client = Client()
            client.force_login(nobody)
            assert client.get(address).status_code == 404
        assert client.post(address).status_code == 405


def test_there_is_none_before_the_money_is_taken(held: Payment, as_payer: Client) -> None:
    assert receipt_of(held) is None
    assert receipts_of(held.reference) == []
    assert as_payer.get(page(held)).status_code == 404
    assert as_payer.get(file(held)).status_code == 404


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    "name", ["Łukasz Żółć", "Nguyễn Thị Bình", "Мария Ψ", "山田 太郎", "王小明", "김철수", "محمد", "<b>&"]
)
def test_whatever_the_name_there_is_a_receipt(taken: Payment, as_payer: Client, name: str) -> None:
    User.objects.filter(pk=taken.payer_id).update(name=name)
    assert as_payer.get(page(taken)).status_code == 200
    assert as_payer.get(file(taken)).content.startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["Łukasz Żółć", "Мария Ψ", "محمد", "לאה"])
def test_the_name_of_the_payer_and_of_the_coach_are_on_it(taken: Payment, as_payer: Client, name: str) -> None:
    User.objects.filter(pk=taken.payer_id).update(name=name)
    Coach.objects.filter(pk=taken.coach_id).update(display_name=name)
    pages = pypdfium2.PdfDocument(as_payer.get(file(taken)).content)
    assert pages[0].get_textpage().get_text_range().count(name) == 2


def test_markup_in_what_people_typed_is_only_text() -> None:
    for hostile in ("<b>bold", "</para><img src='file:///etc/passwd'/>", "&amp; & &#x0;", "a\nb"):
        made = document(title=hostile, author=hostile, blocks=[Text(hostile), Rows([(hostile, hostile)])])
        assert made.startswith(b"%PDF-")
