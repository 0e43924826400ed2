"""The control room's page of faults: what shall go wrong, what has, and an end to it."""

from stripe_sandbox import faults
from stripe_sandbox.errors import Json, validation
from stripe_sandbox.world import World

from .html import Html, Page, h, join, redirect

PATHS = ("/v1/*", "/v1/payment_intents*", "/v1/checkout/sessions*", "/v1/transfers*", "/v1/refunds*", "/v1/payouts*")
NUMBERS = ("nth", "times", "status", "delay_ms")


def show(world: World, given: Json) -> Html:
    rules = join(_rule(rule) for rule in reversed(world.state.faults))
    return h(
        '{form}<section class="card list scroll"><h2>Rules</h2><table><thead><tr><th>What happens</th><th>To</th><th>When</th><th>Hits</th>'
        "</tr></thead><tbody>{rules}</tbody></table>{clear}</section>",
        form=_form(),
        rules=rules or h('<tr><td colspan="4">Nothing goes wrong.</td></tr>'),
        clear=Html(
            '<form method="post" action="/room/faults" class="after"><button class="inline" name="do" value="clear">End all</button></form>'
        )
        if world.state.faults
        else Html(""),
    )


def _rule(rule: Json) -> Html:
    hits = join(h('<a href="/room/request/{id}"><code>{id}</code></a> ', id=id) for id in rule["hits"][-20:])
    return h(
        "<tr><td>{action}</td><td><code>{method} {path}</code></td><td>{when}</td><td>{hits}</td></tr>",
        action=rule["action"],
        method=rule["method"] or "any",
        path=rule["path"],
        when=f"from match {rule['nth']}, {'for ever' if rule['times'] == 0 else str(rule['times']) + ' ×'}",
        hits=hits or "none yet",
    )


def _form() -> Html:
    actions = join(
        h('<option value="{key}">{key}: {meaning}</option>', key=key, meaning=meaning)
        for key, meaning in faults.ACTIONS.items()
    )
    paths = join(h('<option value="{path}">', path=path) for path in PATHS)
    numbers = join(
        h(
            '<div><label for="{name}">{label}</label><input id="{name}" name="{name}" inputmode="numeric" value="{value}"></div>',
            name=name,
            label=label,
            value=value,
        )
        for name, label, value in (
            ("nth", "From match number", 1),
            ("times", "How often (0: for ever)", 1),
            ("status", "Status, if it answers", 500),
            ("delay_ms", "Delay in ms, if it waits", 2000),
        )
    )
    return h(
        '<form method="post" action="/room/faults" class="card"><h2>Let something go wrong</h2>'
        '<p><label for="action">What</label><select id="action" name="action">{actions}</select></p>'
        '<div class="grid"><div><label for="method">Method</label><select id="method" name="method"><option>POST</option><option>GET</option>'
        '<option>DELETE</option><option value="">any</option></select></div><div><label for="path">Path (a pattern)</label>'
        '<input id="path" name="path" value="/v1/*" list="paths"><datalist id="paths">{paths}</datalist></div>{numbers}</div>'
        '<p><button class="inline" name="do" value="add">Add the rule</button></p></form>',
        actions=actions,
        paths=paths,
        numbers=numbers,
    )


def act(world: World, given: Json) -> Page:
    """Adds the rule of the form, or ends all. Raises StripeError (400) for one that makes no sense."""
    if given.get("do") == "clear":
        world.state.faults = []
        return redirect("/room/faults")
    rule = {name: str(given[name]) for name in ("action", "method", "path") if given.get(name)}
    try:
        faults.add(world, {**rule, **{name: int(str(given[name])) for name in NUMBERS if given.get(name)}})
    except ValueError as error:
        raise validation(f"This is no fault: {error}.", "action") from None
    return redirect("/room/faults")
