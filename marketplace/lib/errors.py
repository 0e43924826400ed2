"""Errors that are anticipated: each has a stable code, and words that the person it meets can act on."""


class DomainError(Exception):
    """Something the product refuses. Anything that is not one of these is a bug and stays loud.

    `code` is stable and meant for programs; `str(error)` is meant for people; `status` is the HTTP
    status that the API answers with.
    """

    code = "refused"
    status = 409
    message = "This can't be done."

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.message)
