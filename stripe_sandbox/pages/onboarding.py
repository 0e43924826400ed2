"""Hosted onboarding behind an account link, and the Express dashboard behind a login link."""

from datetime import UTC, datetime

from stripe_sandbox import money
from stripe_sandbox.errors import Json, StripeError, no_such
from stripe_sandbox.resources import account_links, account_state, hosted_onboarding, kyc
from stripe_sandbox.world import Resource, World

from .html import Html, Page, h, join, notice, page, redirect

CHOICES = (
    ("complete", "Give everything", "All details are given and confirmed at once."),
    (
        "pending",
        "Give everything, checks take a minute",
        "Details are given; the account stays under review for a minute.",
    ),
    (
        "restricted",
        "Give everything, identity cannot be verified",
        "A document is asked for, and nothing can be paid out until then.",
    ),
    ("partial", "Leave half-way", "Who you are is given, the rest is missing."),
    ("rejected", "Be refused", "The account is rejected for good."),
)
TITLES = {"account_onboarding": "Set up payouts", "account_update": "Change your details"}
REJECTED = "Stripe has rejected this account. That is for good: nothing can be given or changed here."
LEAVE = h(
    '<form method="post"><p><button id="leave" name="outcome" value="leave">Go back without giving anything</button></p></form>'
)
PARTS = 3  # /setup/e/acct_.../token


def show(world: World, parts: list[str], given: Json) -> Page:
    """Opening the link uses it up; a dead link sends the person to its refresh address."""
    account, link = _opened(world, parts)
    if not account_links.open_link(world, link):
        return redirect(link["refresh_url"])
    title = TITLES[link["kind"]]
    if account_state.is_rejected(account):
        return page(title, h("<h1>{title}</h1>{why}{leave}", title=title, why=notice(REJECTED), leave=LEAVE))
    return page(
        title,
        h(
            '<h1>{title}</h1><p class="quiet">{email}</p><p>Here a person would give their details and bank account. Choose how it goes.</p>'
            '{asked}<form method="post" class="card"><div class="choices">{choices}</div></form>{leave}',
            title=title,
            email=account["email"] or account.id,
            asked=_asked(account),
            choices=join(
                h(
                    '<button id="{value}" name="outcome" value="{value}" class="{look}"><span>{title}<br><span class="small">{text}</span></span></button>',
                    value=value,
                    title=title,
                    text=text,
                    look="main" if value == "complete" else "",
                )
                for value, title, text in CHOICES
            ),
            leave=LEAVE,
        ),
    )


def _asked(account: Resource) -> Html:
    """How the account stands, and what is missing by the names that the API has for it."""
    asked = account["requirements"]
    due = asked["currently_due"]
    if account_state.is_rejected(account):
        return notice(REJECTED)
    if not due and asked["pending_verification"]:
        return notice("Everything is given; it is being checked.", "good")
    if not due:
        return notice("Nothing is missing at the moment.", "good")
    return h(
        '<details class="card"><summary>{count} asked for{urgency}</summary><ul class="small quiet">{names}</ul></details>',
        count="1 detail is" if len(due) == 1 else f"{len(due)} details are",
        urgency=_urgency(account),
        names=join(h("<li><code>{name}</code></li>", name=name) for name in due),
    )


def _urgency(account: Resource) -> str:
    asked = account["requirements"]
    if asked["current_deadline"]:
        return f", by {_day(asked['current_deadline'])}"
    return ", overdue" if asked["past_due"] and account["details_submitted"] else ""


def _day(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%-d %B %Y}"


def act(world: World, parts: list[str], given: Json) -> Page:
    """What was chosen happens once, also when the form is sent again; the person goes back to the platform whatever it was."""
    account, link = _opened(world, parts)
    if not account_links.finish(link):
        return redirect(link["refresh_url"])
    outcome = given.get("outcome")
    if outcome in hosted_onboarding.OUTCOMES and not account_state.is_rejected(account):
        hosted_onboarding.onboard(world, account, str(outcome))
    return redirect(link["return_url"])


def _opened(world: World, parts: list[str]) -> tuple[Resource, Json]:
    """The account and the link that a path names."""
    _, id, token = parts if len(parts) == PARTS else ("", "", "")
    account = _known(world, id)
    link = account_links.of_account(world, id, token)
    if link is None:
        raise no_such("account link", token, param="url", status=404)
    return account, link


def _known(world: World, id: str) -> Resource:
    found = world.connected(id)
    if found is None:
        raise no_such("account", id, param="account", status=404)
    return found


def dashboard(world: World, parts: list[str], given: Json) -> Page:
    """The Express dashboard in small: balance, payouts, what is missing. The login link works once."""
    link = world.state.links.get(parts[1]) if len(parts) == len(("account", "token")) else None
    if link is None or link["kind"] != "login" or link["account"] != parts[0]:
        raise no_such("login link", parts[-1] if parts else "", param="url", status=404)
    account = _known(world, parts[0])
    if link["used"] or world.now() >= link["expires_at"]:
        raise StripeError("This login link was used before, or is too old. Ask the platform for a new one.", status=404)
    link["used"] = True
    body = money.balance_object(world, account.id)
    balances = join(
        h(
            "<li><span>{name}</span><strong>{amount}</strong></li>",
            name=name,
            amount=money.formatted(row["amount"], row["currency"]),
        )
        for name, key in (("Available", "available"), ("Pending", "pending"))
        for row in body[key]
    )
    return page(
        "Express",
        h(
            '<h1>Your payouts</h1><p class="quiet">{email}</p>{asked}<h2>Balance</h2><ul class="rows card">{balances}</ul><h2>Payouts</h2>'
            '<ul class="rows card">{payouts}</ul><h2>Paid out to</h2><ul class="rows card">{banks}</ul>'
            '<p class="quiet small">{id}</p>',
            email=account["email"],
            id=account.id,
            balances=balances,
            payouts=join(_payout(each) for each in reversed(world.all("payout", account.id)))
            or h("<li>None yet.</li>"),
            banks=join(_bank(each) for each in account["external_accounts"]["data"]) or h("<li>Nothing yet.</li>"),
            asked=_asked(account),
        ),
    )


def _payout(payout: Resource) -> Html:
    looks = {"paid": "good", "failed": "bad", "canceled": ""}
    words = {"in_transit": "on the way", "canceled": "cancelled"}
    return h(
        '<li><span><span class="tag {look}">{status}</span> <span class="small quiet">{why}</span></span><span>{amount}</span></li>',
        look=looks.get(payout["status"], ""),
        status=words.get(payout["status"], payout["status"]),
        why=payout["failure_message"] or f"arrives {_day(payout['arrival_date'])}",
        amount=money.formatted(payout["amount"], payout["currency"]),
    )


def _bank(bank: Resource) -> Html:
    return h(
        '<li><span>{name}, {last4}</span><span class="tag {look}">{status}</span></li>',
        name=bank["bank_name"] if bank["object"] == "bank_account" else f"{bank['brand']} debit",
        last4=bank["last4"],
        look="bad" if bank["status"] in kyc.UNUSABLE else "",
        status={"errored": "refused a payout", "verification_failed": "owner not verified"}.get(
            bank["status"], bank["currency"].upper()
        ),
    )
