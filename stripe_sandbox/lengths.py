"""How long a string parameter may be, in characters.

The package's types carry no lengths; those with a number are from its docstrings. Stripe's published schema gives
nearly every other string 5,000, which is the default here (not verified for each parameter).
"""

from .errors import validation

DEFAULT = 5000
# Name of the parameter, wherever it stands (`name` only where nothing encloses it) -> the most characters.
LENGTHS = {
    "business_name": 150,
    "client_reference_id": 200,
    "commodity_code": 12,
    "email": 512,
    "individual_name": 150,
    "product_code": 12,
    "statement_descriptor": 22,
    "statement_descriptor_suffix": 22,
}
NAME = 150
# Has limits and words of its own where it is worked.
ELSEWHERE = ("evidence", "metadata")


def check(text: str, path: str) -> None:
    """Raises StripeError (400) for a string that is too long for the parameter."""
    if len(text) <= 12 or any(name in path for name in ELSEWHERE):
        return
    name = path.rpartition("[")[2].rstrip("]")
    most = NAME if path == "name" else LENGTHS.get(name, DEFAULT)
    if len(text) > most:
        raise validation(f"Invalid string: {text[:4]}...{text[-4:]}; must be at most {most} characters", path)
