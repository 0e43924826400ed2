"""A mail from its three templates: subject, text and HTML."""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


def send_mail(template: str, context: dict[str, Any], *to: str) -> None:
    """`template`: as in `mail/<template>-subject.txt`. The context has the site's own names, too."""
    said = {
        **context,
        "SITE_NAME": settings.SITE_NAME,
        "SITE_URL": settings.SITE_URL,
        "SUPPORT_EMAIL": settings.SUPPORT_EMAIL,
    }
    name = f"mail/{template}"
    # A subject is one line, whatever is in the names it mentions.
    subject = " ".join(render_to_string(f"{name}-subject.txt", said).split())
    message = EmailMultiAlternatives(subject, render_to_string(f"{name}-body.txt", said), to=list(to))
    message.attach_alternative(render_to_string(f"{name}-body.html", said), "text/html")
    message.send()
