"""People. A user may be a student, a coach, both, or staff."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower

from marketplace.lib.zones import validate_zone


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """Signs in by e-mail, which is kept in lower case."""

    email = models.EmailField("e-mail", unique=True)
    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_zone])
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("email"), name="user_email_once_whatever_case"),
        ]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.split(" ")[0]


class StaffDecision(models.Model):
    """What a member of staff decided: who, about what, why, how it was before, and after. Append-only."""

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="decisions")
    decision = models.CharField(max_length=40)  # "refund_requested", "claim_decided", ...
    # What it is about, as "app.Model" and its key, and a name for people.
    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=64)
    subject = models.CharField(max_length=200)
    reason = models.CharField(max_length=1000, blank=True)
    before: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    after: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            # All that was decided about one thing.
            models.Index(fields=["subject_type", "subject_id", "at"], name="decision_of_subject"),
            models.Index(fields=["at"], name="decision_at"),
        ]

    def __str__(self) -> str:
        return f"{self.decision}: {self.subject}"
