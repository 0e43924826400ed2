"""How accounts by allauth fit this project."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from marketplace.models import User


def user_display(user: User) -> str:
    return user.name or user.email


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """E-mail addresses are kept in lower case, so that one person is one account."""

    def clean_email(self, email: str) -> str:
        return str(super().clean_email(email)).lower()

    def save_user(self, request: HttpRequest, user: User, form: object, commit: bool = True) -> User:
        saved: User = super().save_user(request, user, form, commit=False)
        saved.email = saved.email.lower()
        if commit:
            saved.save()
        return saved
