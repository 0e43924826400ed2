"""Corrections of the books proposed, approved and declined twice, and by several at once."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest

from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.months import month_of
from marketplace.models import StaffDecision
from marketplace.tests.factories import CoachFactory
from payments import ledger, payouts
from payments.models import Correction, Earning, LedgerTransaction
from payments.services import corrections
from payments.services.corrections import CorrectionDecided
from payments.tests import money_back, stage
from payments.tests.correcting import COACH, LOSSES, approve, of_finance, on_suspense, propose

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

Status = Correction.Status


def test_a_form_that_is_sent_twice_is_one_proposal() -> None:
    ada = of_finance("Ada")
    token, fact = uuid.uuid4(), on_suspense(1_000)
    first = propose(ada, amount=1_000, clears=fact, token=token)
    assert propose(ada, amount=1_000, clears=fact, token=token) == first
    assert (Correction.objects.count(), StaffDecision.objects.count()) == (1, 1)


def test_it_is_approved_once() -> None:
    ada, bo = of_finance("Ada"), of_finance("Bo")
    proposed = propose(ada, amount=100, to_account="bank")
    approve(proposed, bo)
    with pytest.raises(CorrectionDecided):
        approve(proposed, bo)
    assert LedgerTransaction.objects.count() == 1


def at_once(acts: list[Callable[[], object]]) -> None:
    def quietly(act: Callable[[], object]) -> None:
        with suppress(DomainError):
            act()

    stage.at_once([partial(quietly, act) for act in acts])


@pytest.mark.embedded
def test_ten_approvals_at_once_book_once() -> None:
    ada, *others = [of_finance(f"Person{number}") for number in range(6)]
    coach = CoachFactory.create()
    proposed = propose(ada, amount=-100, to_account=COACH, coach=coach)
    at_once([partial(approve, proposed, other) for other in others * 2])
    assert (LedgerTransaction.objects.count(), Earning.objects.count()) == (1, 1)
    assert StaffDecision.objects.filter(decision="correction_approved").count() == 1
    assert ledger.check() == []


def test_approving_and_declining_at_once_is_one_of_the_two() -> None:
    ada, *others = [of_finance(f"Person{number}") for number in range(5)]
    proposed = propose(ada, amount=100, to_account="bank")
    acts: list[Callable[[], object]] = [partial(approve, proposed, other) for other in others]
    acts += [
        partial(corrections.decline, correction=proposed, actor=other, reason="No.", now=clock.now())
        for other in others
    ]
    at_once(acts)
    proposed.refresh_from_db()
    assert (proposed.status, LedgerTransaction.objects.count()) in [(Status.DONE, 1), (Status.DECLINED, 0)]


def test_proposals_at_once_wait_for_no_more_than_there_is() -> None:
    people = [of_finance(f"Person{number}") for number in range(5)]
    fact = on_suspense(1_000)
    at_once([partial(propose, person, amount=300, clears=fact) for person in people * 2])
    assert Correction.objects.count() == 3


def test_one_form_that_is_sent_ten_times_at_once_is_one_proposal() -> None:
    ada, token = of_finance("Ada"), uuid.uuid4()
    at_once([partial(propose, ada, amount=300, to_account="bank", token=token)] * 10)
    assert (Correction.objects.count(), StaffDecision.objects.count()) == (1, 1)


def test_approvals_at_once_clear_no_more_than_there_is() -> None:
    """Several that wait for the same money, as the proposals of a database that was merged by hand."""
    ada, bo = of_finance("Ada"), of_finance("Bo")
    fact = on_suspense(1_000)
    waiting = [propose(ada, amount=1_000, clears=fact)]
    for _ in range(4):
        copy = Correction.objects.get(pk=waiting[0].pk)
        copy.pk, copy.token = None, uuid.uuid4()
        copy.save(force_insert=True)
        waiting.append(copy)
    at_once([partial(approve, each, bo) for each in waiting])
    assert Correction.objects.filter(status=Status.DONE).count() == 1
    assert (money_back.books("suspense"), money_back.books(LOSSES)) == (0, 1_000)


def test_a_run_that_is_planned_meanwhile_pays_it_once() -> None:
    """On the run's line or left to the next one, and the books are good either way."""
    ada, bo, coach = of_finance("Ada"), of_finance("Bo"), CoachFactory.create()
    proposed, now = propose(ada, amount=-5_000, to_account=COACH, coach=coach), clock.now()
    month = month_of(now)
    over = payouts.end_of(month) + timedelta(minutes=1)
    at_once([partial(approve, proposed, bo), partial(payouts.plan_run, month, over)])
    earning = Earning.objects.get()
    assert earning.line is None or earning.line.amount == 5_000
    assert ledger.check() == []
