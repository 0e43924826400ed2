"""The stop of all sending to Stripe, for the frame of the staff's pages."""

from django import template

from payments.models import Standstill
from payments.services import standstill

register = template.Library()


@register.simple_tag
def standstill_now() -> Standstill | None:
    """One query."""
    return standstill.current()
