"""Hosted onboarding behind an account link, and the Express dashboard behind a login link."""

from stripe_sandbox import money
from stripe_sandbox.errors import Json, no_such
from stripe_sandbox.resources import account_links, account_state
from stripe_sandbox.world import Resource, World

from .html import Html, Page, h, join, page, redirect

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
    ("rejected", "Be refused", "The account is rejected for good."),
)


def show(world: World, parts: list[str], given: Json) -> Page:
    """Opening the link uses it up; a dead link sends the person to its refresh address."""
    account, token = _account(world, parts), parts[2]
    link = account_links.open_link(world, token)
    if link is None:
        stale = world.state.links.get(token)
        if stale is None or "refresh_url" not in stale:
            raise no_such("account link", token, param="url", status=404)
        return redirect(stale["refresh_url"])
    return page(
        "Set up payouts",
        h(
            "<h1>Set up payouts</h1><p>Here a person would give their details and bank account. Choose how it goes.</p>{asked}"
            '<form method="post" class="card"><div class="choices">{choices}</div></form>'
            '<form method="post"><button id="partial" name="outcome" value="partial"><span>Leave half-way<br><span class="quiet small">Some details are '
            'given, the rest is missing.</span></span></button></form><form method="post"><p><button id="leave" name="outcome" value="leave">'
            "Go back without giving anything</button></p></form>",
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
    account = _account(world, parts)
    link = world.state.links.get(parts[2])
    if link is None or "return_url" not in link or not link["used"]:
        raise no_such("account link", parts[2], param="url", status=404)
    outcome = given.get("outcome")
    if outcome in account_state.OUTCOMES:
        account_state.onboard(world, account, str(outcome))
    return redirect(link["return_url"])


def _account(world: World, parts: list[str]) -> Resource:
    if len(parts) != 3:
        raise no_such("account link", "", param="url", status=404)
    return _known(world, parts[1])


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
