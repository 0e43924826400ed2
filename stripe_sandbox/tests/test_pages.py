"""The pages, as a browser without JavaScript uses them: forms, redirects, escaping."""

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from .conftest import Receiver, Sandbox, checkout, onboarded, pay, refused


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


OPENER = urllib.request.build_opener(_Stay)


def visit(url: str, **form: str) -> tuple[int, str, str]:
    """Status, page, where it sends the browser. With form fields it is a POST."""
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        answer = OPENER.open(urllib.request.Request(url, data=data), timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.read().decode(), answer.headers.get("Location", "")


def test_paying_leads_back_to_the_shop_with_the_session(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api, 12550)
    status, text, _ = visit(session.url)
    assert status == 200
    for part in (
        "$125.50",
        "Lesson",
        "No real money",
        'value="pm_card_visa"',
        'id="leave" href="http://shop.test/left"',
    ):
        assert part in text
    assert visit(session.url, card="pm_card_visa", email="s@example.com")[::2] == (
        303,
        f"http://shop.test/done?id={session.id}",
    )
    assert api.checkout.sessions.retrieve(session.id).customer_details.email == "s@example.com"
    assert "complete" in visit(session.url)[1]


def test_the_shop_has_been_told_before_the_customer_is_back(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["checkout.session.completed"]})
    assert visit(checkout(api).url, card="pm_card_visa")[0] == 303
    assert receiver.types() == ["checkout.session.completed"]


def test_a_declined_card_says_so_and_may_be_changed(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api)
    again = visit(session.url, card="pm_card_visa_chargeDeclinedInsufficientFunds")
    assert again[::2] == (303, f"/c/pay/{session.id}")
    for _ in range(2):  # a reload shows the same and tries nothing
        assert "Your card has insufficient funds." in visit(session.url)[1]
    assert len(api.charges.list().data) == 1
    assert visit(session.url, card="pm_card_visa")[0] == 303


def test_an_unknown_card_is_asked_again(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api)
    assert visit(session.url, card="pm_card_gold")[0] == 400
    assert api.payment_intents.list().data == []


@pytest.mark.parametrize(("answer", "status"), [("complete", "complete"), ("fail", "open")])
def test_the_bank_asks_on_a_page_of_its_own(api: Any, sandbox: Sandbox, answer: str, status: str) -> None:
    session = checkout(api)
    bank = sandbox.url + visit(session.url, card="pm_card_authenticationRequired")[2]
    assert 'id="authenticate"' in visit(bank)[1]
    after = visit(bank, answer=answer)
    assert api.checkout.sessions.retrieve(session.id).status == status
    assert visit(bank, answer="complete")[0] == 404  # answered once
    if answer == "complete":
        assert after[::2] == (303, f"http://shop.test/done?id={session.id}")
    else:
        assert after[::2] == (303, f"/c/pay/{session.id}")
        assert "could not confirm that it is you" in visit(session.url)[1]
    assert visit(bank)[::2] == (303, f"/c/pay/{session.id}")  # the browser's way back


def test_the_bank_sends_an_api_payment_back_where_it_was_told(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, card="pm_card_threeDSecure2Required", return_url="http://shop.test/back?x=1")
    url = intent.next_action.redirect_to_url.url
    assert visit(url, answer="complete")[2] == (
        f"http://shop.test/back?x=1&payment_intent={intent.id}&payment_intent_client_secret={intent.client_secret}&redirect_status=succeeded"
    )


def link_for(api: Any, account: str) -> str:
    return str(
        api.account_links.create(
            {
                "account": account,
                "type": "account_onboarding",
                "refresh_url": "http://shop.test/again",
                "return_url": "http://shop.test/back",
            }
        ).url
    )


@pytest.mark.parametrize(
    ("outcome", "submitted"), [("complete", True), ("restricted", True), ("partial", False), ("leave", False)]
)
def test_onboarding_ends_at_the_return_address_whatever_was_done(
    api: Any, sandbox: Sandbox, outcome: str, submitted: bool
) -> None:
    account = api.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}}).id
    url = link_for(api, account)
    assert f'id="{outcome}"' in visit(url)[1]
    assert visit(url, outcome=outcome)[::2] == (303, "http://shop.test/back")
    assert api.accounts.retrieve(account).details_submitted is submitted


def test_a_used_or_old_link_leads_to_the_refresh_address(api: Any, sandbox: Sandbox) -> None:
    account = api.accounts.create({"type": "express"}).id
    used = link_for(api, account)
    visit(used)
    assert visit(used)[::2] == (303, "http://shop.test/again")
    old = link_for(api, account)
    sandbox.advance(300)
    assert visit(old)[::2] == (303, "http://shop.test/again")
    assert visit(f"{sandbox.url}/setup/e/{account}/made-up")[0] == 404
    assert visit(link_for(api, account).replace(account, "acct_x"))[0] == 404


def test_a_login_link_opens_the_dashboard_once(api: Any, sandbox: Sandbox) -> None:
    account = onboarded(api, sandbox, email="c@example.com")
    url = api.accounts.login_links.create(account).url
    status, text, _ = visit(url)
    assert (status, "c@example.com" in text, "Available" in text) == (200, True, True)
    assert visit(url)[0] == 404


def test_what_people_type_is_escaped_everywhere(api: Any, sandbox: Sandbox) -> None:
    nasty = '"><script>alert(1)</script>'
    session = api.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "http://a",
            "cancel_url": 'http://a/"><script>',
            "line_items": [
                {"price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": nasty}}, "quantity": 1}
            ],
            "customer_email": f"{nasty}@b.c",
        }
    )
    account = api.accounts.create({"type": "express", "email": nasty}).id
    customer = api.customers.create({"name": nasty}).id
    for url in (
        session.url,
        sandbox.url,
        f"{sandbox.url}/room/object/{customer}",
        link_for(api, account),
        f"{sandbox.url}/room/requests",
        f"{sandbox.url}/room/objects?type={urllib.parse.quote(nasty)}",
    ):
        assert "<script>" not in visit(url)[1]


def test_a_redirect_cannot_carry_a_second_header(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api, success_url="http://shop.test/ok\r\nX-Evil: 1")
    assert visit(session.url, card="pm_card_visa")[2] == "http://shop.test/okX-Evil:1"


def test_the_control_room_shows_and_moves_things(api: Any, sandbox: Sandbox, coach: str) -> None:
    api.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
    intent, session = pay(api), checkout(api)
    sandbox.post("webhooks/settle")
    assert coach in visit(sandbox.url)[1]
    assert intent.id in visit(f"{sandbox.url}/room/objects?type=payment_intent")[1]
    assert "/v1/payment_intents" in visit(f"{sandbox.url}/room/requests")[1]
    assert "payment_intent.succeeded" in visit(f"{sandbox.url}/room/events")[1]
    assert "retrying" in visit(f"{sandbox.url}/room/events")[1]
    before = sandbox.get("clock")["now"]
    assert visit(f"{sandbox.url}/room/clock", advance="3600")[0] == 303
    assert sandbox.get("clock")["now"] >= before + 3600
    visit(f"{sandbox.url}/room/sessions/{session.id}", do="expire")
    assert api.checkout.sessions.retrieve(session.id).status == "expired"
    visit(f"{sandbox.url}/room/accounts/{coach}", do="restrict")
    assert api.accounts.retrieve(coach).payouts_enabled is False
    event = api.events.list({"type": "charge.succeeded"}).data[0].id
    assert visit(f"{sandbox.url}/room/events/{event}", do="resend")[0] == 303
    tries = [len(row["attempts"]) for row in sandbox.get("deliveries")["data"] if row["event"] == event]
    assert tries[0] >= 2


def test_the_control_room_does_what_only_the_outside_world_does(api: Any, sandbox: Sandbox, coach: str) -> None:
    room = f"{sandbox.url}/room"
    for wish, status in (("won", "won"), ("lost", "lost")):
        visit(f"{room}/payment_intents/{pay(api).id}", do="dispute")
        dispute = api.disputes.list().data[0].id
        assert "Decide for the platform" in visit(f"{room}/object/{dispute}")[1]
        visit(f"{room}/disputes/{dispute}", do=wish)
        assert api.disputes.retrieve(dispute).status == status
    sandbox.post("balance", amount=50000)
    payout = api.payouts.create({"amount": 1000, "currency": "usd"}).id
    visit(f"{room}/payouts/{payout}", do="fail")
    assert api.payouts.retrieve(payout).status == "failed"
    assert "Deauthorise" in visit(f"{room}/object/{coach}")[1]
    visit(f"{room}/accounts/{coach}", do="deauthorize")
    assert coach not in [account.id for account in api.accounts.list().data]
    assert sandbox.get("health")["balance_errors"] == []


def test_the_control_room_lets_requests_fail_and_shows_whom_it_hit(api: Any, sandbox: Sandbox) -> None:
    room = f"{sandbox.url}/room/faults"
    rule = {"do": "add", "action": "respond", "method": "POST", "path": "/v1/customers", "status": "503", "times": "0"}
    assert visit(room, **rule)[0] == 303
    assert refused(lambda: api.customers.create({})).http_status == 503
    hit = sandbox.get("requests")["data"][0]["id"]
    assert hit in visit(room)[1]
    assert visit(room, **rule | {"status": "soon"})[0] == 400
    assert visit(room, **rule | {"action": "explode"})[0] == 400
    assert len(sandbox.get("faults")["data"]) == 1
    visit(room, do="clear")
    assert api.customers.create({}).id


def test_the_control_room_rolls_and_shows_a_secret(api: Any, sandbox: Sandbox) -> None:
    endpoint = api.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
    visit(f"{sandbox.url}/room/webhook_endpoints/{endpoint.id}", do="roll")
    shown = visit(f"{sandbox.url}/room/object/{endpoint.id}")[1]
    assert endpoint.secret in shown
    assert shown.count("whsec_") == 2


def test_a_page_that_is_not_there_is_a_404(sandbox: Sandbox) -> None:
    for path in (
        "/nowhere",
        "/c/pay/cs_x",
        "/room/object/x",
        "/room/nowhere",
        "/express/a/b",
        "/receipts/pi_x",
        "/authenticate/pi_x/y",
        "/setup/e/a/b",
    ):
        assert visit(sandbox.url + path)[0] == 404
