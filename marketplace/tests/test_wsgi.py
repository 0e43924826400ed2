"""Headers that nothing behind the entry point can read are refused at the door."""

from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from marketplace.wsgi import application

pytestmark = pytest.mark.django_db


def status_of(**environ: str) -> int:
    """Asked of the API without a login, unless a page is named."""
    request: dict[str, Any] = {"HTTP_HOST": "testserver", "PATH_INFO": "/api/v1/bookings/", "QUERY_STRING": "page=1"}
    request |= {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "https", **environ}
    setup_testing_defaults(request)
    answers: list[str] = []
    answer = application(request, lambda status, *_: answers.append(status))  # type: ignore[arg-type]  # nothing is written
    list(answer)
    getattr(answer, "close", lambda: None)()
    return int(answers[0][:3])


@pytest.mark.parametrize(
    "content_type",
    [
        *(
            f"text/plain; charset={codec}"
            for codec in ("zlib", "base64", "rot13", "hex", "undefined", "unicode_escape", "punycode", "latin-1")
        ),
        "text/plain; charset*=utf-8''zlib",
        "text/plain; a*=no-such-charset''b",
        "text/plain; a*=undefined''b",
    ],
)
def test_what_says_that_it_is_not_utf_8_is_a_bad_request(content_type: str) -> None:
    assert status_of(CONTENT_TYPE=content_type) == 400
    assert status_of(CONTENT_TYPE=content_type, REQUEST_METHOD="POST", PATH_INFO="/accounts/login/") == 400


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", *(f"text/plain; charset={c}" for c in ("utf-8", "UTF8", "?"))]
)
def test_utf_8_and_what_names_no_charset_at_all_reach_the_api(content_type: str) -> None:
    assert status_of(CONTENT_TYPE=content_type) == 403
