"""Events, read back."""

from fnmatch import fnmatchcase

from stripe_sandbox import events
from stripe_sandbox.errors import Json, no_such, validation
from stripe_sandbox.rendering import page
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import Resource

MAX_TYPES = 20


@route("GET", "/v1/events/{id}", "EventRetrieveParams")
def retrieve(call: Call) -> Json:
    found = call.require("event", "id", param="id")
    if found["created"] < call.now() - events.RETENTION:
        raise no_such("event", found.id, param="id", status=404)
    return events.rendered(call.world, found)


@route("GET", "/v1/events", "EventListParams")
def list_events(call: Call) -> Json:
    """The last thirty days; by `type` (a trailing `*` stands for any), `types`, and whether all deliveries succeeded."""
    params, world = call.params, call.world
    if "type" in params and "types" in params:
        raise validation("You may only specify one of these parameters: type, types.", "type")
    wanted = [params["type"]] if "type" in params else params.get("types")
    if wanted is not None and len(wanted) > MAX_TYPES:
        raise validation("You may only specify up to 20 types.", "types")
    oldest = call.now() - events.RETENTION

    def only(event: Resource) -> bool:
        if event["created"] < oldest or (
            wanted is not None and not any(fnmatchcase(event["type"], each) for each in wanted)
        ):
            return False
        return "delivery_success" not in params or params["delivery_success"] == (
            events.rendered(world, event)["pending_webhooks"] == 0
        )

    found = page(call, "event", "/v1/events", only=only)
    return {**found, "data": [events.rendered(world, event) for event in found["data"]]}
