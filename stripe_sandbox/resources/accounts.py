"""Accounts: the platform's own and the connected ones."""

from typing import Any

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError, account_invalid, validation
from stripe_sandbox.rendering import page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import account_state

COUNTRIES = frozenset(
    [
        "AE",
        "AT",
        "AU",
        "BE",
        "BG",
        "BR",
        "CA",
        "CH",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GB",
        "GI",
        "GR",
        "HK",
        "HR",
        "HU",
        "IE",
        "IN",
        "IT",
        "JP",
        "LI",
        "LT",
        "LU",
        "LV",
        "MT",
        "MX",
        "MY",
        "NL",
        "NO",
        "NZ",
        "PL",
        "PT",
        "RO",
        "SE",
        "SG",
        "SI",
        "SK",
        "TH",
        "US",
    ]
)
CONTROLLERS: dict[str, Json] = {
    "express": {
        "fees": {"payer": "application_express"},
        "losses": {"payments": "application"},
        "requirement_collection": "stripe",
        "stripe_dashboard": {"type": "express"},
    },
    "custom": {
        "fees": {"payer": "application_custom"},
        "losses": {"payments": "application"},
        "requirement_collection": "application",
        "stripe_dashboard": {"type": "none"},
    },
    "standard": {
        "fees": {"payer": "account"},
        "losses": {"payments": "stripe"},
        "requirement_collection": "stripe",
        "stripe_dashboard": {"type": "full"},
    },
}
V1_REFUSED = (
    "Stripe no longer recommends Accounts v1 for new Connect integrations. Create connected accounts with POST /v2/core/accounts instead: "
    "https://docs.stripe.com/connect/accounts-v2. If you need Accounts v1, enable Accounts v1 support at "
    "https://dashboard.stripe.com/settings/developers/api-policies/feat_accounts_v1_support."
)


def ensure_platform(world: World) -> None:
    """Makes the platform's own account, fully set up, when it is not there yet."""
    id = world.settings.platform
    if id in world.state.objects:
        return
    fields = _fields(
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
    if params.keys() & {"individual", "company"} and "business_type" not in params:
        raise validation(
            "The `business_type` must be provided when sending either of `individual` or `company` parameters."
        )
    account = world.create("account", call.account, _fields(world, params), hidden={"capabilities": {}})
    account["external_accounts"] = {
        **account["external_accounts"],
        "url": f"/v1/accounts/{account.id}/external_accounts",
    }
    wanted = {name for name, each in (params.get("capabilities") or {}).items() if each and each.get("requested")}
    for name in sorted(wanted):
        account_state.request_capability(world, account, name, True)
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
    account, params = owned(call), call.params
    changes: Json = {
        name: params[name] or None for name in ("email", "business_type", "default_currency") if name in params
    }
    if "metadata" in params:
        changes["metadata"] = metadata(account["metadata"], params["metadata"])
    if "business_profile" in params:
        changes["business_profile"] = {**account["business_profile"], **params["business_profile"]}
    if "settings" in params:
        changes["settings"] = merged_settings(account["settings"], params["settings"])
    for name, each in (params.get("capabilities") or {}).items():
        account_state.request_capability(call.world, account, name, bool(each.get("requested")))
    events.changed(call.world, account.id, "account.updated", account, **changes)
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
    if account["type"] not in ("express", "custom"):
        raise StripeError("Only accounts for which your platform is responsible for losses can be rejected.")
    reasons = {"fraud": "rejected.fraud", "terms_of_service": "rejected.terms_of_service"}
    account_state.reject(
        call.world,
        account,
        reasons.get(call.params["reason"], "rejected.other"),
        pause_payouts=call.params.get("payouts_action") != "none",
    )
    return account


@route("POST", "/v1/accounts/{id}/login_links", "AccountCreateLoginLinkParams")
def create_login_link(call: Call) -> Json:
    account = owned(call)
    if account["type"] != "express":
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


def owned(call: Call) -> Resource:
    """The account in the URL: one of ours, or the caller's own. A deleted or foreign one is a 403, as at Stripe."""
    id = call.path["id"]
    if id in (call.account, call.world.settings.platform):
        return call.world.get(id)
    found = call.world.connected(id) if call.on_platform else None
    if found is None:
        raise account_invalid(call.api_key, id)
    return found


def merged_settings(current: Json, given: Json) -> Json:
    """The account's settings after an update of any depth; checks the payout schedule's rules."""
    result = dict(current)
    for section, values in given.items():
        result[section] = {**(current.get(section) or {}), **values}
    schedule = (given.get("payouts") or {}).get("schedule")
    if schedule:
        result["payouts"]["schedule"] = merged_schedule(current["payouts"]["schedule"], schedule)
    return result


def merged_schedule(current: Json, given: Json) -> Json:
    """A payout schedule after an update. Anchors belong to their interval and are shown only with it."""
    merged: Json = {**current, **given}
    if merged.get("delay_days") == "minimum":
        merged["delay_days"] = 2
    interval = merged["interval"]
    if interval == "weekly" and not (merged.get("weekly_anchor") or merged.get("weekly_payout_days")):
        merged["weekly_anchor"] = "monday"
    if interval == "monthly" and not (merged.get("monthly_anchor") or merged.get("monthly_payout_days")):
        raise validation(
            "You must provide a monthly_anchor when setting the payout schedule to monthly.",
            "settings[payouts][schedule][monthly_anchor]",
            "parameter_missing",
        )
    if not 1 <= merged.get("monthly_anchor", 1) <= 31:
        raise validation(
            "Invalid monthly_anchor: must be between 1 and 31", "settings[payouts][schedule][monthly_anchor]"
        )
    kept = {
        "weekly": ("weekly_anchor", "weekly_payout_days"),
        "monthly": ("monthly_anchor", "monthly_payout_days"),
    }.get(interval, ())
    return {
        "delay_days": merged["delay_days"],
        "interval": interval,
        **{name: merged[name] for name in kept if merged.get(name)},
    }


def _fields(world: World, params: Json) -> Json:
    country = (params.get("country") or world.settings.country).upper()
    if country not in COUNTRIES:
        raise validation(
            f"Country '{country}' is unknown. Try using a 2-character alphanumeric country code instead, such as 'US', 'EG', or 'GB'.",
            "country",
            "country_code_invalid",
        )
    kind = params.get("type") or _kind_of(params["controller"])
    controller = {"type": "application", "is_controller": True, **CONTROLLERS[kind]}
    fields: Json = {
        "business_profile": {**_BUSINESS_PROFILE, **(params.get("business_profile") or {})},
        "business_type": params.get("business_type"),
        "capabilities": {},
        "charges_enabled": False,
        "controller": controller,
        "country": country,
        "default_currency": money.check_currency(params.get("default_currency") or money.currency_of_country(country)),
        "details_submitted": False,
        "email": params.get("email") or None,
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "total_count": 0,
            "url": "/v1/accounts/external_accounts",
        },
        "future_requirements": account_state.requirements(),
        "metadata": metadata({}, params.get("metadata")),
        "payouts_enabled": False,
        "settings": _settings(params.get("settings") or {}),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": kind,
    }
    asked = account_state.missing_at_start(fields)
    fields["requirements"] = account_state.requirements(past_due=asked, disabled_reason="requirements.past_due")
    return fields


def _kind_of(controller: Json) -> str:
    """The account type that a controller hash amounts to."""
    dashboard = (controller.get("stripe_dashboard") or {}).get("type", "full")
    return {"express": "express", "none": "custom", "full": "standard"}[dashboard]


_BUSINESS_PROFILE: Json = {
    "annual_revenue": None,
    "estimated_worker_count": None,
    "mcc": None,
    "minority_owned_business_designation": None,
    "name": None,
    "product_description": None,
    "support_address": None,
    "support_email": None,
    "support_phone": None,
    "support_url": None,
    "url": None,
}


def _settings(given: Json) -> Json:
    defaults: dict[str, Any] = {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "offer"},
        "payments": {
            "statement_descriptor": None,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }
    return merged_settings(defaults, given)
