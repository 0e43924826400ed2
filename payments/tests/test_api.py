"""The endpoints of payments: what a price comes to, and how the own payout account stands."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import services

FEES = reverse("api_fees")
ACCOUNT = reverse("api_account")


@pytest.fixture
def caller(client: Client, student: User) -> Client:
    client.force_login(student)
    return client


def attributes(answer: Any) -> list[str]:
    """The fields that an error answer names."""
    assert answer.json()["type"] == "validation_error"
    return [error["attr"] for error in answer.json()["errors"]]


# --- fees ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_quotes_the_fee_and_the_coachs_share(caller: Client) -> None:
    answer = caller.get(FEES, {"amount": "10000", "currency": "usd"})
    assert answer.json() == {
        "price": {"amount": 10000, "currency": "usd", "formatted": "$100.00"},
        "platform_fee": {"amount": 2000, "currency": "usd", "formatted": "$20.00"},
        "coach_share": {"amount": 8000, "currency": "usd", "formatted": "$80.00"},
    }


@pytest.mark.django_db
def test_it_quotes_a_currency_without_decimals(caller: Client) -> None:
    answer = caller.get(FEES, {"amount": "5003", "currency": "JPY"}).json()
    assert answer["platform_fee"] == {"amount": 1001, "currency": "jpy", "formatted": "¥1,001"}
    assert answer["coach_share"]["amount"] == 4002


@pytest.mark.django_db
@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    "amount",
    ["", "-1", "0", "49", "0.001", "1e12", "10,00", "10.0", "NaN", "Infinity", "true", "٢٥٠٠", "2_500", "0x10", " 2500",
     "100000000", "9" * 40, pytest.param("9" * 5000, id="endless"), "\x00"],
)  # fmt: skip
def test_it_refuses_an_amount_that_is_not_a_price(caller: Client, amount: str) -> None:
    answer = caller.get(FEES, {"amount": amount, "currency": "usd"})
    assert answer.status_code == 400
    assert attributes(answer) == ["amount"]


@pytest.mark.django_db
@pytest.mark.everyday(2)
@pytest.mark.parametrize("currency", ["", "us", "usdd", "chf", "xxx", "\x00\x00\x00", "ŬŠĎ"])
def test_it_refuses_a_currency_that_the_platform_has_not(caller: Client, currency: str) -> None:
    answer = caller.get(FEES, {"amount": "10000", "currency": currency})
    assert answer.status_code == 400
    assert "currency" in attributes(answer)


@pytest.mark.django_db
def test_it_names_each_missing_parameter(caller: Client) -> None:
    assert attributes(caller.get(FEES)) == ["amount", "currency"]


@pytest.mark.django_db
def test_the_quote_only_reads(caller: Client) -> None:
    assert caller.post(FEES, {"amount": 1}, content_type="application/json").status_code == 405


# --- the own account ----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("url", [FEES, ACCOUNT])
def test_it_needs_a_login(client: Client, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code in {401, 403}
    assert answer.json()["errors"][0]["code"] == "not_authenticated"


@pytest.mark.django_db
def test_someone_who_does_not_teach_has_no_account(caller: Client) -> None:
    assert caller.get(ACCOUNT).status_code == 404


@pytest.mark.django_db
def test_a_coach_who_has_not_begun_is_told_so(client: Client) -> None:
    client.force_login(CoachFactory.create(payable=False).user)
    answer = client.get(ACCOUNT).json()
    assert answer["account"] is None
    assert answer["status"]["state"] == "not_started"


@pytest.mark.django_db
def test_a_coach_sees_their_own_account_and_no_other(client: Client, sandbox: Sandbox) -> None:
    ours, other = CoachFactory.create(payable=False), CoachFactory.create(payable=False)
    account = services.create_payout_account(coach=ours, country="US", now=clock.now())
    services.create_payout_account(coach=other, country="DE", now=clock.now())
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/onboard", {"outcome": "complete"})
    services.refresh_payout_account(account=account, now=clock.now())

    client.force_login(ours.user)
    answer = client.get(ACCOUNT, {"coach": other.pk}).json()

    assert answer["status"]["state"] == "ready"
    assert answer["status"]["missing"] == []
    assert answer["account"]["stripe_account_id"] == account.stripe_account_id
    assert answer["account"]["payable"] is True
    assert Coach.objects.get(pk=ours.pk).payable is True


@pytest.mark.django_db
def test_both_endpoints_are_in_the_schema(caller: Client) -> None:
    schema = caller.get(reverse("api_schema"), {"format": "json"}).json()
    fees, account = schema["paths"]["/api/v1/fees/"]["get"], schema["paths"]["/api/v1/account/"]["get"]
    assert [parameter["name"] for parameter in fees["parameters"]] == ["amount", "currency"]
    assert all(parameter["required"] for parameter in fees["parameters"])
    assert account["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Account"
    }
