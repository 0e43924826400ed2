"""HTML without a template engine: every value that is filled in is escaped unless it is `Html` itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from string import Formatter, punctuation
from typing import Any
from urllib.parse import quote


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


class _Escaping(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ARG002 - the library's signature
        if isinstance(value, Html):
            return value
        return escape(str("" if value is None else value), quote=True)


_FORMATTER = _Escaping()


def h(template: str, **values: Any) -> Html:
    """Fills `{name}` in the template with escaped values."""
    return Html(_FORMATTER.vformat(template, (), values))


def join(parts: Iterable[Html]) -> Html:
    return Html("".join(parts))


@dataclass(slots=True)
class Page:
    """An answer for a person."""

    body: str
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


def page(title: str, content: Html, *, status: int = 200, wide: bool = False) -> Page:
    """A whole page in the sandbox's frame."""
    return Page(
        h(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="robots" content="noindex"><title>{title} · Stripe sandbox</title><link rel="icon" href="data:,">'
            '<link rel="stylesheet" href="/sandbox.css"></head><body class="{width}"><header class="bar"><span class="badge">Sandbox</span>'
            "<span>A local stand-in for Stripe. No real money moves here.</span></header><main>{content}</main></body></html>",
            title=title,
            content=content,
            width="wide" if wide else "narrow",
        ),
        status=status,
    )


def redirect(url: str) -> Page:
    """Sends the browser on by GET. What is no ASCII is encoded; line breaks cannot get into the header."""
    return Page("", status=303, headers={"Location": quote("".join(url.split()), safe=punctuation)})


def notice(text: str, kind: str = "bad") -> Html:
    return h('<p class="notice {kind}" role="alert">{text}</p>', kind=kind, text=text) if text else Html("")
