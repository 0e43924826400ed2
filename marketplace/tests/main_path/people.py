"""Coach and student at the pages, over HTTP and without a browser."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from marketplace.models import User
from marketplace.tests.main_path.product import Product

CSRF_TOKEN = "c" * 32


class Person:
    """A user who is logged in. What is posted goes to the page's own address, as the form on it would send it."""

    def __init__(self, product: Product, user: User) -> None:
        self.product = product
        self.user = user
        self._http = requests.Session()
        self._http.cookies.set(settings.SESSION_COOKIE_NAME, _logged_in(user))
        self._http.cookies.set(settings.CSRF_COOKIE_NAME, CSRF_TOKEN)

    def get(self, path: str) -> requests.Response:
        return self._ask("GET", path, {})

    def post(self, path: str, **fields: Any) -> str:
        """Where the answer leads; anything but a redirect is a failure."""
        answer = self._ask("POST", path, fields)
        assert answer.is_redirect, f"{path} answered {answer.status_code}: {answer.text[:2000]}"
        return answer.headers["Location"]

    def send_form(self, page: str, action: str, **typed: Any) -> str:
        """What `page`'s form to this address holds already, and what a person has typed into it."""
        answer = self.get(page)
        assert answer.status_code == 200, f"{page} answered {answer.status_code}: {answer.text[:2000]}"
        return self.post(action, **_hidden_fields(answer.text, action), **typed)

    def _ask(self, method: str, path: str, fields: dict[str, Any]) -> requests.Response:
        return self.product.ask(
            lambda: self._http.request(
                method,
                self.product.url + path,
                data=fields,
                headers={"X-CSRFToken": CSRF_TOKEN},
                allow_redirects=False,
                timeout=90,
            )
        )

    def press_at_stripe(self, address: str, **button: str) -> str:
        """Opens a hosted page, presses one of its buttons and comes back: the path on our side it leads to."""
        requests.get(address, allow_redirects=False, timeout=30).raise_for_status()
        answer = requests.post(address, data=button, allow_redirects=False, timeout=30)
        assert answer.is_redirect, f"{address} answered {answer.status_code}"
        return urlsplit(answer.headers["Location"]).path


def _hidden_fields(page: str, action: str) -> dict[str, str]:
    reader = _FormReader(action)
    reader.feed(page)
    assert reader.fields, f"the page has no form to {action}"
    return reader.fields


class _FormReader(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._action = action
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = given.get("action") == self._action
        elif tag == "input" and self._inside and given.get("type") == "hidden":
            self.fields[str(given["name"])] = given.get("value") or ""


def _logged_in(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    assert session.session_key
    return session.session_key
