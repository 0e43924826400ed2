"""Hosted onboarding behind an account link, and the Express dashboard behind a login link."""

from stripe_sandbox import money
from stripe_sandbox.errors import Json, no_such
from stripe_sandbox.resources import account_links, account_state, hosted_onboarding
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
    due = account["requirements"]["currently_due"]
    if not due:
        return h('<p class="notice good">Nothing is missing at the moment.</p>')
    return h(
        '<details class="card"><summary>{count} details are asked for</summary><p class="small quiet">{names}</p></details>',
        count=len(due),
        names=", ".join(due),
    )


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
    link = world.state.links.get(parts[1]) if len(parts) == 2 else None
    if (
        link is None
        or link["kind"] != "login"
        or link["account"] != parts[0]
        or link["used"]
        or world.now() >= link["expires_at"]
    ):
        raise no_such("login link", parts[-1] if parts else "", param="url", status=404)
    link["used"] = True
    account = _known(world, parts[0])
    body = money.balance_object(world, account.id)
    balances = join(
        h(
            "<li><span>{name}</span><strong>{amount}</strong></li>",
            name=name,
            amount=money.formatted(row["amount"], row["currency"]),
        )
        for name, key in (("Available", "available"), ("On the way", "pending"))
        for row in body[key]
    )
    payouts = join(
        h(
            "<li><span>{status}</span><span>{amount}</span></li>",
            status=payout["status"],
            amount=money.formatted(payout["amount"], payout["currency"]),
        )
        for payout in reversed(world.all("payout", account.id))
    )
    return page(
        "Express",
        h(
            '<h1>Your payouts</h1><p class="quiet">{email} · {id}</p><ul class="rows card">{balances}</ul><h2>Payouts</h2>'
            '<ul class="rows card">{payouts}</ul>{asked}',
            email=account["email"],
            id=account.id,
            balances=balances,
            payouts=payouts or h("<li>None yet.</li>"),
            asked=_asked(account),
        ),
    )
