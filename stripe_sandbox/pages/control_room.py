"""The control room at `/`: what is stored, what was asked, what was told, and the clock."""

import json
import re
from datetime import UTC, datetime

from stripe_sandbox import api, events, money
from stripe_sandbox.errors import Json, no_such
from stripe_sandbox.resources import account_state
from stripe_sandbox.webhooks import Courier
from stripe_sandbox.world import Resource, World

from . import deeds, faults_room
from .html import Html, Page, h, join, page, redirect

SECTIONS = (
    ("", "Overview"),
    ("objects", "Objects"),
    ("requests", "Requests"),
    ("events", "Events"),
    ("faults", "Faults"),
)
ROWS = 100
JUMPS = ((3600, "1 hour"), (86400, "1 day"), (7 * 86400, "1 week"), (30 * 86400, "30 days"))


def show(world: World, parts: list[str], given: Json) -> Page:
    section = parts[0] if parts else ""
    if section == "object" and len(parts) == 2:
        return _object(world, parts[1])
    if section == "request" and len(parts) == 2:
        return _request(world, parts[1])
    views = {"": _overview, "objects": _objects, "requests": _requests, "events": _events, "faults": faults_room.show}
    if section not in views:
        raise no_such("page", section, param="url", status=404)
    return _framed(section, dict(SECTIONS)[section], views[section](world, given))


def _framed(section: str, title: str, content: Html) -> Page:
    links = join(
        h(
            '<a href="{url}"{current}>{name}</a>',
            url=f"/room/{key}" if key else "/",
            name=name,
            current=Html(' aria-current="page"') if key == section else "",
        )
        for key, name in SECTIONS
    )
    return page(
        title,
        h(
            '<nav aria-label="Sections">{links}</nav><h1>{title}</h1>{content}',
            links=links,
            title=title,
            content=content,
        ),
        wide=True,
    )


def _time(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _overview(world: World, given: Json) -> Html:
    return h(
        '<div class="grid">{clock}{balances}{accounts}{sessions}</div>',
        clock=_clock(world),
        balances=_balances(world),
        accounts=_accounts(world),
        sessions=_sessions(world),
    )


def _clock(world: World) -> Html:
    buttons = join(
        h('<button class="inline" name="advance" value="{seconds}">+ {name}</button>', seconds=seconds, name=name)
        for seconds, name in JUMPS
    )
    due = world.next_due()
    return h(
        '<section class="card"><h2>Clock</h2><p><strong>{now}</strong> UTC</p><p class="quiet small">{due}</p><form method="post" '
        'action="/room/clock" class="line">{buttons}</form></section>',
        now=_time(world.now()),
        buttons=buttons,
        due=f"Next thing due: {_time(due)}" if due else "Nothing is due.",
    )


def _balances(world: World) -> Html:
    rows = join(
        h(
            '<tr><td>{who}</td><td class="number">{available}</td><td class="number">{pending}</td></tr>',
            who="Platform" if world.is_platform(account) else _link(account),
            available=money.formatted(amounts[0], currency),
            pending=money.formatted(amounts[1], currency),
        )
        for (account, currency), amounts in sorted(world.state.balances.items())
    )
    return h(
        '<section class="card"><h2>Balances</h2><div class="scroll"><table><thead><tr><th>Account</th><th class="number">Available</th><th class="number">Pending</th></tr></thead>'
        "<tbody>{rows}</tbody></table></div></section>",
        rows=rows or h('<tr><td colspan="3">No money has moved yet.</td></tr>'),
    )


def _accounts(world: World) -> Html:
    rows = join(_account(account) for account in reversed(world.all("account", world.settings.platform)[-20:]))
    return h('<section class="card"><h2>Connected accounts</h2>{rows}</section>', rows=rows or h("<p>None yet.</p>"))


def _account(account: Resource) -> Html:
    able = account_state.can_receive_transfers(account)
    buttons = join(
        h('<button class="inline" name="do" value="{value}">{name}</button>', value=value, name=name)
        for value, name in deeds.MOVES
    )
    return h(
        '<div class="entry"><p>{link} <span class="tag {look}">{state}</span> <span class="quiet small">{email}</span></p>'
        '<form method="post" action="/room/accounts/{id}" class="line">{buttons}</form></div>',
        link=_link(account.id),
        id=account.id,
        look="good" if able else "bad",
        email=account["email"],
        state="can be paid" if able else account["requirements"]["disabled_reason"] or "not yet",
        buttons=buttons,
    )


def _sessions(world: World) -> Html:
    recent = [each for each in world.all("checkout.session", world.settings.platform) if each["status"] == "open"][-10:]
    rows = join(
        h(
            '<li><a href="{url}">{amount}</a><form method="post" action="/room/sessions/{id}" class="line"><button class="inline">Expire</button>'
            "</form></li>",
            url=f"/c/pay/{each.id}",
            id=each.id,
            amount=money.formatted(each["amount_total"], each["currency"]) if each["amount_total"] else "Save a card",
        )
        for each in recent
    )
    return h(
        '<section class="card"><h2>Open Checkout pages</h2><ul class="rows">{rows}</ul></section>',
        rows=rows or h("<li>None.</li>"),
    )


def _link(id: str) -> Html:
    return h('<a href="/room/object/{id}"><code>{id}</code></a>', id=id)


def _objects(world: World, given: Json) -> Html:
    counts: dict[str, int] = {}
    for (_, kind), group in world.state.lists.items():
        counts[kind] = counts.get(kind, 0) + len(group)
    kind = str(given.get("type") or next(iter(sorted(counts))))
    kinds = join(
        h(
            '<a href="/room/objects?type={kind}"{current}>{kind} ({count})</a>',
            kind=each,
            count=count,
            current=Html(' aria-current="true"') if each == kind else "",
        )
        for each, count in sorted(counts.items())
    )
    found = sorted(
        (each for (_, name), group in world.state.lists.items() if name == kind for each in group),
        key=lambda each: -each.sequence,
    )
    rows = join(
        h(
            '<tr><td>{link}</td><td>{status}</td><td class="number">{amount}</td><td class="time">{created}</td></tr>',
            link=_link(each.id),
            status=_tag(str(each.get("status") or each.get("type") or "")),
            amount=_amount(each),
            created=_time(each["created"]) if each.get("created") else "",
        )
        for each in found[:ROWS]
    )
    return h(
        '<nav aria-label="Types" class="small">{kinds}</nav><div class="scroll card list"><table><thead><tr><th>Id</th><th>Status</th><th class="number">Amount</th>'
        "<th>Created (UTC)</th></tr></thead><tbody>{rows}</tbody></table></div>",
        kinds=kinds,
        rows=rows,
    )


def _amount(each: Resource) -> str:
    amount = each.get("amount", each.get("amount_total"))
    return money.formatted(amount, each["currency"]) if isinstance(amount, int) and each.get("currency") else ""


def _tag(text: str) -> Html:
    good = text in ("succeeded", "complete", "paid", "available", "delivered", "active", "enabled", "won")
    bad = text in ("failed", "canceled", "expired", "errored", "retrying", "dropped", "needs_response", "lost")
    return (
        h('<span class="tag {look}">{text}</span>', look="good" if good else "bad" if bad else "", text=text)
        if text
        else Html("")
    )


def _object(world: World, id: str) -> Page:
    found = world.state.objects.get(id)
    if found is None:
        raise no_such("object", id, param="id", status=404)
    shown = events.rendered(world, found) if found["object"] == "event" else dict(found)
    if found["object"] == "webhook_endpoint":
        shown["signing secrets, newest first"] = found.hidden["secrets"]
    body = h(
        '<p class="quiet">{kind} of {account} {status} {amount}</p>{buttons}<pre>{text}</pre>',
        kind=found["object"],
        status=_tag(str(found.get("status") or "")),
        amount=_amount(found),
        buttons=_buttons(world, found),
        text=_linked(world, shown),
        account="the platform" if world.is_platform(found.account) else _link(found.account),
    )
    return _framed("objects", id, body)


def _linked(world: World, shown: Json) -> Html:
    """JSON in which the id of every other stored object leads to it."""
    objects, own = world.state.objects, shown.get("id")
    parts = re.split(r'(?<=")([a-z]+_\w+)(?=")', json.dumps(shown, indent=2))  # every second part may be an id
    return join(
        h('<a href="/room/object/{id}">{id}</a>', id=part)
        if part in objects and part != own
        else h("{text}", text=part)
        for part in parts
    )


def _buttons(world: World, found: Resource) -> Html:
    """What only the outside world can do to this object."""
    buttons = join(
        h('<button class="inline" name="do" value="{key}">{name}</button>', key=key, name=name)
        for key, name in deeds.possible(world, found)
    )
    return h(
        '<form method="post" action="/room/{kind}s/{id}" class="line"><input type="hidden" name="on" value="object">{buttons}</form>',
        kind=found["object"],
        id=found.id,
        buttons=buttons,
    )


def _requests(world: World, given: Json) -> Html:
    recent = list(world.state.requests)[-ROWS:][::-1]
    rows = join(
        h(
            '<tr><td><a href="/room/request/{id}"><code>{method} {path}</code></a></td><td>{status}</td><td>{notes}</td><td>{account}</td>'
            '<td class="time">{at}</td></tr>',
            id=entry["id"],
            method=entry["method"],
            path=entry["path"],
            account=entry["account"],
            at=_time(entry["at"]),
            status=_status(entry["status"]),
            notes=" · ".join(filter(None, (entry["fault"], "replayed" if entry["replayed"] else ""))),
        )
        for entry in recent
    )
    return h(
        '<div class="scroll card list"><table><thead><tr><th>Request</th><th>Status</th><th>Notes</th><th>Account</th><th>At (UTC)</th></tr></thead>'
        "<tbody>{rows}</tbody></table></div>",
        rows=rows or h('<tr><td colspan="5">No request yet.</td></tr>'),
    )


def _status(status: int | None) -> Html:
    return h(
        '<span class="tag {look}">{text}</span>',
        look="good" if status == 200 else "bad",
        text="no answer" if status is None else status,
    )


def _request(world: World, id: str) -> Page:
    found = [entry for entry in world.state.requests if entry["id"] == id]
    if not found:
        raise no_such("request", id, param="id", status=404)
    return _framed("requests", id, h("<pre>{text}</pre>", text=_linked(world, api.logged(found[0]))))


def _events(world: World, given: Json) -> Html:
    every = sorted(
        (each for (_, kind), group in world.state.lists.items() if kind == "event" for each in group),
        key=lambda each: -each.sequence,
    )
    rows = join(_event(world, event) for event in every[:ROWS])
    return h(
        '<div class="scroll card list"><table><thead><tr><th>Event</th><th>Account</th><th>Deliveries</th><th>At (UTC)</th></tr></thead>'
        "<tbody>{rows}</tbody></table></div>",
        rows=rows or h('<tr><td colspan="4">No event yet.</td></tr>'),
    )


def _event(world: World, event: Resource) -> Html:
    deliveries = join(
        h(
            '<div>{tag} <span class="small">{url} · {tries}</span></div>',
            tag=_tag(row["status"]),
            url=row["url"],
            tries=_tries(row),
        )
        for row in (world.state.deliveries[number] for number in event.hidden["deliveries"])
    )
    resend = (
        h('<form method="post" action="/room/events/{id}"><button class="inline">Resend</button></form>', id=event.id)
        if deliveries
        else Html("")
    )
    return h(
        '<tr><td><a href="/room/object/{id}"><code>{type}</code></a></td><td>{account}</td><td class="full"><div class="line apart"><div>{deliveries}</div>'
        '{resend}</div></td><td class="time">{at}</td></tr>',
        id=event.id,
        type=event["type"],
        account=event.get("account"),
        deliveries=deliveries or Html("nobody listens"),
        resend=resend,
        at=_time(event["created"]),
    )


def _tries(row: Json) -> str:
    if not row["attempts"]:
        return "not tried yet"
    last = row["attempts"][-1]
    answer = f"answered {last['status']}" if last["status"] else f"no answer ({last['answer'].partition(':')[0]})"
    return f"tried {len(row['attempts'])} ×, {answer}"


async def act(world: World, courier: Courier, parts: list[str], given: Json) -> Page:
    """A button was pressed; afterwards the page that it stands on is shown again."""
    what, id = (*parts, "", "")[:2]
    if what == "clock":
        return _move_clock(world, str(given.get("advance", "")))
    if what == "faults":
        return faults_room.act(world, given)
    found = world.state.objects.get(id)
    if found is None:
        raise no_such("object", id, param="id", status=404)
    if what == "events":
        if found["object"] != "event":
            raise no_such("event", id, param="id", status=404)
        for number in found.hidden["deliveries"]:
            await courier.send(world.state.deliveries[number], world.now())
        return redirect("/room/events")
    deed = deeds.DEEDS.get(what)
    if deed and what == f"{found['object']}s".removeprefix("checkout.") and not found.hidden.get("deleted"):
        made = deed(world, found, str(given.get("do")))
        if made is not None:
            return redirect(f"/room/object/{made.id}")
    from_overview = what in ("accounts", "sessions") and given.get("on") != "object"
    return redirect("/" if from_overview else f"/room/object/{id}")


def _move_clock(world: World, seconds: str) -> Page:
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) < 10):
        raise no_such("time span", seconds, param="advance")
    world.jump(world.offset_ahead() + int(seconds))
    return redirect("/")
