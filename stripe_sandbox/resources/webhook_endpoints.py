"""Webhook endpoints: who is told of which events."""

from stripe_sandbox.addresses import is_address
from stripe_sandbox.errors import Json, StripeError, validation
from stripe_sandbox.rendering import page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.webhooks import new_secret
from stripe_sandbox.world import Resource, World

MAX_ENDPOINTS = 16


def ensure_configured(world: World) -> None:
    """Registers the endpoints of the command line, with their known secrets, unless they are there."""
    for wanted in world.settings.endpoints:
        known = [
            each
            for each in world.all("webhook_endpoint", world.settings.platform)
            if each["url"] == wanted["url"] and each.hidden["connect"] == wanted["connect"]
        ]
        if known:
            known[0].hidden["secrets"] = [wanted["secret"]]
            known[0]["api_version"] = wanted["api_version"]
        else:
            _new(
                world,
                world.settings.platform,
                {**wanted, "enabled_events": ["*"]},
                wanted["secret"],
            )


def _new(world: World, account: str, params: Json, secret: str) -> Resource:
    connect = bool(params.get("connect"))
    return world.create(
        "webhook_endpoint",
        account,
        {
            "api_version": params.get("api_version"),
            "description": params.get("description") or None,
            "enabled_events": params["enabled_events"],
            "metadata": metadata({}, params.get("metadata")),
            "status": "enabled",
            "url": params["url"],
        },
        hidden={"connect": connect, "secrets": [secret]},
    )


@route("POST", "/v1/webhook_endpoints", "WebhookEndpointCreateParams")
def create(call: Call) -> Json:
    _check(call.params)
    if len(call.world.all("webhook_endpoint", call.account)) >= MAX_ENDPOINTS:
        raise StripeError(f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    secret = new_secret(call.world)
    return {**_new(call.world, call.account, call.params, secret), "secret": secret}


def _check(params: Json) -> None:
    if "url" in params and not is_address(params["url"]):
        raise validation("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    events = params.get("enabled_events")
    if events is not None and (("*" in events and len(events) > 1) or not events):
        raise validation(
            "The `enabled_events` parameter must be a list of event types, or `*` alone.", "enabled_events"
        )


@route("GET", "/v1/webhook_endpoints/{id}", "WebhookEndpointRetrieveParams")
def retrieve(call: Call) -> Json:
    return _named(call)


def _named(call: Call) -> Resource:
    return call.require("webhook_endpoint", "id", param="webhook_endpoint", label="webhook endpoint")


@route("GET", "/v1/webhook_endpoints", "WebhookEndpointListParams")
def list_endpoints(call: Call) -> Json:
    return page(call, "webhook_endpoint", "/v1/webhook_endpoints")


@route("POST", "/v1/webhook_endpoints/{id}", "WebhookEndpointUpdateParams")
def update(call: Call) -> Json:
    endpoint, params = _named(call), call.params
    _check(params)
    for name in ("url", "enabled_events", "description"):
        if name in params:
            endpoint[name] = params[name] or None
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    endpoint["metadata"] = metadata(endpoint["metadata"], params.get("metadata"))
    return endpoint


@route("DELETE", "/v1/webhook_endpoints/{id}", "WebhookEndpointDeleteParams")
def delete(call: Call) -> Json:
    endpoint = _named(call)
    call.world.forget(endpoint)
    return {"id": endpoint.id, "object": "webhook_endpoint", "deleted": True}
