"""What invoices call a coach: which words are taken. Nothing of it is proven."""

import re
from functools import cache

from babel import Locale
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

LONGEST_ADDRESS, MOST_LINES, LONGEST_TAX_ID = 400, 6, 30
# What Unicode lists among the territories, and is no country.
NO_COUNTRIES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})

validate_line = RegexValidator(r"\A[^\x00-\x1f\x7f-\x9f]*\Z", "Write it on one line, without control characters.")
validate_tax_id = RegexValidator(
    r"\A(?=.*[0-9])[0-9A-Za-z][0-9A-Za-z ./-]*\Z",
    "Write it in plain letters and digits, as it was given to you, like DE123456789.",
)


@cache
def countries() -> dict[str, str]:
    """Names by two-letter code, in the order of the names."""
    names = {str(code): str(name) for code, name in Locale("en").territories.items()}
    codes = (code for code in names if re.fullmatch(r"[A-Z]{2}", code) and code not in NO_COUNTRIES)
    return {code: names[code] for code in sorted(codes, key=names.__getitem__)}


def validate_country(code: str) -> None:
    if code not in countries():
        raise ValidationError("Choose a country of the list.", code="unknown_country")


def tidy_address(text: str) -> str:
    """Without empty lines, and spaces at the ends of others; browsers part lines in their own way."""
    return "\n".join(line for line in (each.strip() for each in re.split(r"\r\n|\r|\n", text)) if line)


def validate_address(text: str) -> None:
    lines = tidy_address(text).split("\n")
    if len(lines) > MOST_LINES:
        raise ValidationError(f"An address has at most {MOST_LINES} lines here.", code="too_many_lines")
    for line in lines:
        validate_line(line)
