"""Stripe's errors: one exception, and a constructor for each kind that the sandbox raises."""

from typing import Any

Json = dict[str, Any]


class StripeError(Exception):
    """An answer other than 200, in Stripe's words.

    `stored` says whether an idempotency key remembers it: validation, authentication and concurrency
    failures happen before the endpoint starts to work and are not remembered.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers or {}
        self.stored = status not in (401, 409, 429) and not (code or "").startswith("parameter_")
        fields = {"message": message, "type": type, "code": code, "param": param, **extra}
        if code and code != "property_expansion_max_depth":
            fields["doc_url"] = "https://stripe.com/docs/error-codes/" + code.replace("_", "-")
        self.fields: Json = {name: value for name, value in fields.items() if value is not None}

    def body(self, platform: str, request_id: str | None) -> Json:
        """The envelope, its keys in alphabetical order as Stripe sends them. What is in no log of requests names none."""
        fields = dict(self.fields)
        if request_id:
            fields["request_log_url"] = (
                f"https://dashboard.stripe.com/{platform}/test/workbench/logs?object={request_id}"
            )
        return {"error": dict(sorted(fields.items()))}


def validation(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A refusal of the parameters themselves; an idempotency key does not remember it."""
    error = StripeError(message, code=code, param=param)
    error.stored = False
    return error


def missing_param(param: str) -> StripeError:
    return validation(f"Missing required param: {param}.", param, "parameter_missing")


def exclusive(*params: str) -> StripeError:
    return validation(f"You may only specify one of these parameters: {', '.join(params)}.", params[0])


def no_such(kind: str, id: str, *, param: str, status: int = 400) -> StripeError:
    """400 when a parameter names the missing object, 404 when the URL does."""
    return StripeError(f"No such {kind}: '{id}'", status=status, code="resource_missing", param=param)


def account_invalid(key: str, account: str) -> StripeError:
    return StripeError(
        f"The provided key '{mask_key(key)}' does not have access to account '{account}' (or that account does not exist). "
        "Application access may have been revoked.",
        status=403,
        code="account_invalid",
    )


def unrecognised_url(method: str, path: str) -> StripeError:
    return StripeError(
        f"Unrecognized request URL ({method}: {path}). If you are trying to list objects, remove the trailing slash. If you are "
        "trying to retrieve an object, make sure you passed a valid (non-empty) identifier in your code. Please see "
        "https://stripe.com/docs or we can help at https://support.stripe.com/.",
        status=404,
    )


def no_key() -> StripeError:
    return StripeError(
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. "
        "'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or we can help at "
        "https://support.stripe.com/.",
        status=401,
    )


def bad_key(key: str) -> StripeError:
    return StripeError(f"Invalid API Key provided: {mask_key(key)}", status=401)


def publishable_key() -> StripeError:
    return StripeError(
        "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a list of your API keys "
        "at https://dashboard.stripe.com/account/apikeys.",
        status=401,
    )


def rate_limited(reason: str) -> StripeError:
    """`reason` is what Stripe's header says: global-rate (the account's) or endpoint-rate."""
    return StripeError(
        "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
        headers={"Stripe-Rate-Limited-Reason": reason},
    )


def mask_key(key: str) -> str:
    """The first eleven and the last four characters, as Stripe shows a key in its errors."""
    return key if len(key) <= 15 else key[:11] + "*" * (len(key) - 15) + key[-4:]
