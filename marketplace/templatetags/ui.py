"""The small words of the templates: times as a person reads them, badges, initials, the way around."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from marketplace import clock
from marketplace.lib.zones import in_zone, zone_label

register = template.Library()

# How far along a session is, in the tones that the style sheet knows. A state that is not named is quiet.
TONES = {
    "awaiting_payment": "wait",
    "requested": "wait",
    "accepted": "good",
    "completed": "good",
    "no_show_student": "bad",
    "no_show_coach": "bad",
    "payment_failed": "bad",
}
STEP_WORDS = {"done": "Done", "now": "Now", "next": "Next", "undone": "Will not happen"}


def _day(local: datetime) -> str:
    return f"{local:%a} {local.day} {local:%b %Y}"


def _clock(local: datetime) -> str:
    """Hours and minutes; where the clock shows them twice, `02:30 (UTC+0200)`."""
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{local:%H:%M} (UTC{local:%z})" if twice else f"{local:%H:%M}"


def _marked(instant: datetime, words: str, zone: str = "") -> SafeString:
    if not zone:
        return format_html('<time datetime="{}">{}</time>', instant.isoformat(), words)
    return format_html(
        '<time datetime="{}">{} <span class="zone">{}</span></time>', instant.isoformat(), words, zone_label(zone)
    )


@register.simple_tag
def plain_time(instant: datetime, zone: str) -> str:
    """`Fri 20 Nov 2026, 16:00 Berlin time`, for text without markup."""
    local = in_zone(instant, zone)
    return f"{_day(local)}, {_clock(local)} {zone_label(zone)}"


@register.simple_tag
def plain_span(starts: datetime, ends: datetime, zone: str) -> str:
    """`Fri 20 Nov 2026, 16:00 to 17:00 Berlin time`, for text without markup."""
    return f"{_span(starts, ends, zone)} {zone_label(zone)}"


@register.simple_tag
def local_time(instant: datetime, zone: str) -> SafeString:
    """Date, time and whose clock."""
    local = in_zone(instant, zone)
    return _marked(instant, f"{_day(local)}, {_clock(local)}", zone)


@register.simple_tag
def local_span(starts: datetime, ends: datetime, zone: str) -> SafeString:
    """Date, from and to, and whose clock."""
    return _marked(starts, _span(starts, ends, zone), zone)


@register.simple_tag
def local_date(instant: datetime, zone: str) -> SafeString:
    return _marked(instant, _day(in_zone(instant, zone)))


@register.simple_tag
def local_clock(instant: datetime, zone: str) -> SafeString:
    """Hours and minutes alone, where the day and the zone stand beside it."""
    return _marked(instant, _clock(in_zone(instant, zone)))


def _span(starts: datetime, ends: datetime, zone: str) -> str:
    first, last = in_zone(starts, zone), in_zone(ends, zone)
    until = _clock(last) if first.date() == last.date() else f"{_day(last)}, {_clock(last)}"
    return f"{_day(first)}, {_clock(first)} to {until}"


@register.filter
def zone_words(zone: str) -> str:
    """`Berlin time`."""
    return zone_label(zone)


@register.simple_tag
def product_time() -> datetime:
    return clock.now()


@register.simple_tag
def status_badge(status: str, label: str) -> SafeString:
    """A booking's state as a badge: its value picks the tone, its label is what people read."""
    return format_html('<span class="badge badge-{}">{}</span>', TONES.get(status, "quiet"), label)


@register.filter
def step_word(state: str) -> str:
    """The state of a step of the money timeline, for those who hear the page."""
    return STEP_WORDS[state]


@register.filter
def present_step(steps: Sequence[Any]) -> Any:
    """The step that is under way; where there is none, the last that is done, or else the first."""
    for state in ("now", "done"):
        found = [step for step in steps if step.state == state]
        if found:
            return found[-1]
    return steps[0]


@register.filter
def within(sentence: str) -> str:
    """Words that begin a sentence elsewhere, as they stand within one: names in them keep their capitals."""
    return sentence[:1].lower() + sentence[1:]


@register.filter
def initials(name: str) -> str:
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


@register.simple_tag(takes_context=True)
def nav_link(context: RequestContext, name: str, words: str) -> SafeString:
    """One entry of the main navigation; the page one is on is marked."""
    address = reverse(name)
    request = context.get("request")
    here = request is not None and request.path == address
    current = SafeString(' aria-current="page"') if here else ""
    return format_html('<li><a href="{}"{}>{}</a></li>', address, current, words)
