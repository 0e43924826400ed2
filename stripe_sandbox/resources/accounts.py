"""Accounts: the platform's own and the connected ones."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError, validation
from stripe_sandbox.rendering import page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import World

from . import account_details, account_review, account_shapes, account_state
from .account_access import editable, owned

V1_REFUSED = (
    "Stripe no longer recommends Accounts v1 for new Connect integrations. Create connected accounts with POST /v2/core/accounts instead: "
    "https://docs.stripe.com/connect/accounts-v2. If you need Accounts v1, enable Accounts v1 support at "
    "https://dashboard.stripe.com/settings/developers/api-policies/feat_accounts_v1_support."
)

REASONS = ("fraud", "terms_of_service", "other")


def ensure_platform(world: World) -> None:
    """Makes the platform's own account, fully set up, when it is not there yet."""
    id = world.settings.platform
    if id in world.state.objects:
        return
    fields = account_shapes.new_fields(
        world,
        {
            "country": world.settings.country,
            "default_currency": world.settings.currency,
            "type": "standard",
            "email": "platform@example.com",
            "business_type": "company",
        },
    )
    schedule = {"delay_days": 2, "interval": world.settings.platform_payouts}
    platform = world.create(
        "account",
        id,
        {
            **fields,
            "id": id,
            "capabilities": {"card_payments": "active", "transfers": "active"},
            "charges_enabled": True,
            "payouts_enabled": True,
            "details_submitted": True,
            "requirements": account_state.requirements(),
            "business_profile": {
                **fields["business_profile"],
                "name": "Sandbox platform",
                "mcc": "8299",
                "url": "https://example.com",
            },
            "settings": {
                **fields["settings"],
                "payouts": {**fields["settings"]["payouts"], "schedule": schedule},
                "dashboard": {"display_name": "Sandbox platform", "timezone": "Etc/UTC"},
            },
        },
        hidden={"capabilities": {}, "application": world.new_id("application")},
    )
    # Kept apart from the connected accounts, which are what the platform's list shows.
    world.state.lists[(id, "account")].remove(platform)
    platform["controller"] = {"type": "account"}
    account_state.new_bank_account(world, platform)


@route("POST", "/v1/accounts", "AccountCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    if world.state.accounts_v1_refused:
        raise StripeError(V1_REFUSED)
    if "type" in params and "controller" in params:
        raise validation("You may only specify one of these parameters: type, controller.", "type")
    if "type" not in params and "controller" not in params:
        raise validation("Missing required param: type.", "type", "parameter_missing")
    fields = account_shapes.new_fields(world, params)
    stripe_collects = fields["controller"]["requirement_collection"] == "stripe"
    prepared = account_details.prepare(call, None, collected_by_stripe=stripe_collects)
    fields["business_type"] = prepared.params.get("business_type") or None
    account = world.create("account", call.account, fields, hidden={"capabilities": {}})
    account["external_accounts"] = {
        **account["external_accounts"],
        "url": f"/v1/accounts/{account.id}/external_accounts",
    }
    account.update(account_details.write(world, account, prepared))
    account_review.start(world, account)
    wanted = {name for name, each in (params.get("capabilities") or {}).items() if each and each.get("requested")}
    for name in sorted(wanted):
        account_state.request_capability(world, account, name, True)
    account_review.reassess(world, account)
    return account


@route("GET", "/v1/account", "AccountRetrieveParams")
def retrieve_current(call: Call) -> Json:
    return call.world.get(call.account)


@route("GET", "/v1/accounts/{id}", "AccountRetrieveParams")
def retrieve(call: Call) -> Json:
    return owned(call)


@route("GET", "/v1/accounts", "AccountListParams")
def list_accounts(call: Call) -> Json:
    return page(call, "account", "/v1/accounts")


@route("POST", "/v1/accounts/{id}", "AccountUpdateParams")
def update(call: Call) -> Json:
    account = owned(call)
    if call.params.keys() & account_details.DETAILS:
        editable(call, account)
    stripe_collects = account["controller"].get("requirement_collection") == "stripe"
    prepared = account_details.prepare(call, account["business_type"], collected_by_stripe=stripe_collects)
    params = prepared.params
    changes: Json = {
        name: params[name] or None for name in ("email", "business_type", "default_currency") if name in params
    }
    if "metadata" in params:
        changes["metadata"] = metadata(account["metadata"], params["metadata"])
    if "business_profile" in params:
        changes["business_profile"] = {**account["business_profile"], **params["business_profile"]}
    if "settings" in params:
        changes["settings"] = account_shapes.merged_settings(account["settings"], params["settings"])
    for name, each in (params.get("capabilities") or {}).items():
        account_state.request_capability(call.world, account, name, bool(each.get("requested")))
    changes |= account_details.write(call.world, account, prepared)
    events.changed(call.world, account.id, "account.updated", account, **changes)
    account_review.reassess(call.world, account)
    return account


@route("DELETE", "/v1/accounts/{id}", "AccountDeleteParams")
def delete(call: Call) -> Json:
    account = owned(call)
    if call.world.is_platform(account.id):
        raise StripeError("You cannot delete your own account by the API.")
    account_state.deauthorize(call.world, account)
    return {"id": account.id, "object": "account", "deleted": True}


@route("POST", "/v1/accounts/{id}/reject", "AccountRejectParams")
def reject(call: Call) -> Json:
    account = owned(call)
    if account["controller"].get("losses") != {"payments": "application"}:
        raise StripeError("Only accounts for which your platform is responsible for losses can be rejected.")
    reason = call.params["reason"]
    if reason not in REASONS:
        raise validation(f"Invalid reason: must be one of {', '.join(REASONS[:-1])}, or {REASONS[-1]}", "reason")
    # Whether these or `rejected.platform_...` are set today is not documented; these are the long-standing ones.
    account_state.reject(
        call.world,
        account,
        f"rejected.{reason}",
        pause_payouts=call.params.get("payouts_action") != "none",
    )
    return account


@route("POST", "/v1/accounts/{id}/login_links", "AccountCreateLoginLinkParams")
def create_login_link(call: Call) -> Json:
    account = owned(call)
    if account["controller"].get("stripe_dashboard") != {"type": "express"}:
        raise StripeError(
            "Cannot create a login link for an account that does not have access to the Express Dashboard."
        )
    if not account["details_submitted"]:
        raise StripeError("Cannot create a login link for an account that has not completed onboarding.")
    token = call.world.token(24)
    call.world.state.links[token] = {
        "kind": "login",
        "account": account.id,
        "used": False,
        "expires_at": call.now() + 300,
    }
    return {"object": "login_link", "created": call.now(), "url": f"{call.world.base_url}/express/{account.id}/{token}"}
