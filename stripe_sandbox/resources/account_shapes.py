"""What an account looks like: countries, controllers, settings, and the fields of a new one."""

from typing import Any

from stripe_sandbox import money
from stripe_sandbox.errors import Json, validation
from stripe_sandbox.routing import metadata
from stripe_sandbox.world import World

from . import account_state

COUNTRIES = frozenset(
    (
        "AE AT AU BE BG BR CA CH CY CZ DE DK EE ES FI FR GB GI GR HK HR HU "
        "IE IN IT JP LI LT LU LV MT MX MY NL NO NZ PL PT RO SE SG SI SK TH US"
    ).split()
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


def new_fields(world: World, params: Json) -> Json:
    country = (params.get("country") or world.settings.country).upper()
    if country not in COUNTRIES:
        raise validation(
            f"Country '{country}' is unknown. Try using a 2-character alphanumeric country code instead, such as 'US', 'EG', or 'GB'.",
            "country",
            "country_code_invalid",
        )
    kind = params.get("type") or _kind_of(params["controller"])
    controller = {"type": "application", "is_controller": True, **_controller(kind, params.get("controller"))}
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
        "requirements": account_state.requirements(),
        "settings": _settings(params.get("settings") or {}),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": kind,
    }
    return fields


def _controller(kind: str, given: Json | None) -> Json:
    """What the type stands for, or what was given over what Stripe takes when nothing is: the standard type's."""
    if given is None:
        return CONTROLLERS[kind]
    return {
        name: {**value, **(given.get(name) or {})} if isinstance(value, dict) else given.get(name, value)
        for name, value in CONTROLLERS["standard"].items()
    }


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
