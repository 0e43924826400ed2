"""The WSGI entry point that the web server loads."""

import codecs
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketplace.settings")

django = get_wsgi_application()


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """400 for a Content-Type that Django fails on before any middleware."""
    if _says_utf_8(environ.get("CONTENT_TYPE", "")):
        return django(environ, start_response)
    start_response("400 Bad Request", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Only UTF-8 is read here.\n"]


def _says_utf_8(content_type: str) -> bool:
    """Or nothing, or what is no charset. Django would read addresses by any codec of Python's, zlib too."""
    try:
        _, parameters = parse_header_parameters(content_type)
    except ValueError:  # a parameter may name a charset of its own (RFC 2231)
        return False
    try:
        return codecs.lookup(parameters.get("charset", "utf-8")).name == "utf-8"
    except LookupError:
        return True
