"""What a student's bank may be shown, and how much of it: Stripe's evidence fields and their documented limits."""

from collections.abc import Iterable, Mapping

from marketplace.lib.errors import DomainError

LONGEST_FIELD = 20_000  # characters
LONGEST_IN_ALL = 150_000  # characters, all text fields together
MOST_BYTES = 4_500_000  # all files together
TEXT_FIELDS = (
    "product_description",
    "customer_name",
    "customer_email_address",
    "customer_purchase_ip",
    "billing_address",
    "service_date",
    "access_activity_log",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "duplicate_charge_id",
    "duplicate_charge_explanation",
    "uncategorized_text",
)
FILE_FIELDS = (
    "service_documentation",
    "receipt",
    "cancellation_policy",
    "refund_policy",
    "customer_communication",
    "customer_signature",
    "duplicate_charge_documentation",
    "uncategorized_file",
)
# What a file begins with, and its kind and ending; whatever its name says.
KINDS = (
    (b"%PDF-", "application/pdf", "pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (b"\xff\xd8\xff", "image/jpeg", "jpg"),
)


class EvidenceTooLong(DomainError):
    code = "evidence_too_long"
    status = 400

    def __init__(self, what: str, size: int, most: int) -> None:
        super().__init__(f"{what} is {size - most:,} characters too long: at most {most:,} are read.")


class UnknownEvidence(DomainError):
    code = "unknown_evidence"
    status = 400
    message = "The bank reads no such field."


class WrongKindOfFile(DomainError):
    code = "wrong_kind_of_file"
    status = 400
    message = "The bank reads PDF, JPEG and PNG files only."


class FilesTooLarge(DomainError):
    code = "files_too_large"
    status = 400
    message = f"All files together may have {MOST_BYTES / 1_000_000} MB at most."


def check_texts(fields: Mapping[str, str]) -> None:
    """Raises UnknownEvidence, EvidenceTooLong."""
    if not set(fields) <= set(TEXT_FIELDS):
        raise UnknownEvidence
    for name, text in fields.items():
        if len(text) > LONGEST_FIELD:
            raise EvidenceTooLong(name.replace("_", " ").capitalize(), len(text), LONGEST_FIELD)
    in_all = sum(map(len, fields.values()))
    if in_all > LONGEST_IN_ALL:
        raise EvidenceTooLong("The evidence as a whole", in_all, LONGEST_IN_ALL)


def check_file(field: str, content: bytes, others: Iterable[int]) -> tuple[str, str]:
    """The file's kind and ending, by its content. `others`: the bytes of each other file.

    Raises UnknownEvidence, WrongKindOfFile, FilesTooLarge.
    """
    if field not in FILE_FIELDS:
        raise UnknownEvidence
    if len(content) + sum(others) > MOST_BYTES:
        raise FilesTooLarge
    for start, kind, ending in KINDS:
        if content.startswith(start):
            return kind, ending
    raise WrongKindOfFile
