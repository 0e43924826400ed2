"""What stops the start: each refusal names the setting, and none shows its value."""

import os
import re
import runpy
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from bin._servers import ROOT

DEVELOPMENT = {
    "ENV_FILES": "",
    "DEBUG": "true",
    "SECRET_KEY": "tests-only-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-xyz",
    "STRIPE_SECRET_KEY": "sk_test_000000000000000000000001",
    "STRIPE_WEBHOOK_SECRETS": "whsec_00000000000000000001",
    "STRIPE_CONNECT_WEBHOOK_SECRETS": "whsec_00000000000000000002",
}
PRODUCTION = {
    **DEVELOPMENT,
    "DEBUG": "false",
    "ALLOWED_HOSTS": "coaching.example.com",
    "SITE_URL": "https://coaching.example.com",
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "OPERATOR_EMAILS": "operators@example.com",
    "STRIPE_SECRET_KEY": "sk_live_000000000000000000000001",
}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the settings file with nothing but these in the environment; answers with what it sets."""

    def run(environment: dict[str, str]) -> dict[str, Any]:
        for name in set(os.environ) - {"PATH"}:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(ROOT / "marketplace" / "settings.py"))

    return run


def test_both_kinds_of_settings_load(load: Any) -> None:
    assert load(DEVELOPMENT)["DEBUG"] is True
    production = load(PRODUCTION)
    assert (production["DEBUG"], production["STRIPE_LIVE_MODE"]) == (False, True)


@pytest.mark.parametrize(
    "name",
    ["SECRET_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS", "STRIPE_CONNECT_WEBHOOK_SECRETS"],
)
@pytest.mark.parametrize("environment", [DEVELOPMENT, PRODUCTION], ids=["development", "production"])
def test_it_does_not_start_without(load: Any, environment: dict[str, str], name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"^{name} is not set\.$"):
        load({**environment, name: ""})


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "SITE_URL", "ALLOWED_HOSTS"])
def test_production_does_not_fall_back_to_what_development_has(load: Any, name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{name} is not set"):
        load({**PRODUCTION, name: ""})


WRONG = {
    "DEBUG": "perhaps",
    "DEMO": "perhaps",
    "SITE_URL": "ftp://wrong-value",
    "DATABASE_URL": "mysql://wrong:value@127.0.0.1/x",
    "REDIS_URL": "wrong-value",
    "STRIPE_SECRET_KEY": "pk_test_wrongvaluewrongvaluewrong",
    "STRIPE_MIRROR_KEY": "wrong-value",
    "STRIPE_SANDBOX_URL": "http://192.0.2.1:80",
    "STRIPE_WEBHOOK_SECRETS": "whsec_00000000000000000001,wrong-value",
    "STRIPE_CONNECT_WEBHOOK_SECRETS": "whsec_short",
    "PLATFORM_FEE_BPS": "10001",
    "SETTLEMENT_MODE": "weekly",
    "CURRENCIES": "usd,dollars",
    "COUNTRIES": "US,Germany",
    "MEETING_URL": "http://wrong-value",
    "TRUSTED_PROXY_COUNT": "-1",
    "EMAIL_PORT": "70000",
    "EMAIL_USE_TLS": "perhaps",
    "LOG_LEVEL": "LOUD",
    "OPERATOR_EMAILS": "operators@example.com,nobody",
}


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG)
def test_it_names_a_wrong_setting_and_never_its_value(load: Any, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"^{name}\b") as refusal:
        load({**DEVELOPMENT, name: value})
    assert value not in str(refusal.value)


@pytest.mark.parametrize("value", ["1e3", "2000.5", "0x10", "\u0661\u0660\u0660", "9" * 30, " "])
def test_a_fee_is_a_plain_number(load: Any, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^PLATFORM_FEE_BPS must be a whole number from 0 to 10000"):
        load({**DEVELOPMENT, "PLATFORM_FEE_BPS": value})


LIVE_KEY = "sk_live_000000000000000000000001"
TOGETHER = {
    "a live key with DEBUG": (DEVELOPMENT, {"STRIPE_SECRET_KEY": LIVE_KEY}, "STRIPE_SECRET_KEY"),
    "a live key for the mirror alone": (DEVELOPMENT, {"STRIPE_MIRROR_KEY": LIVE_KEY}, "STRIPE_MIRROR_KEY"),
    "a test key for the mirror alone": (
        PRODUCTION,
        {"STRIPE_MIRROR_KEY": "rk_test_000000000000000000000001"},
        "STRIPE_MIRROR_KEY",
    ),
    "the sandbox in production": (PRODUCTION, {"STRIPE_SANDBOX_URL": "http://127.0.0.1:12111"}, "STRIPE_SANDBOX_URL"),
    "the demo in production": (PRODUCTION, {"DEMO": "true"}, "DEMO"),
}


@pytest.mark.parametrize(("environment", "change", "name"), TOGETHER.values(), ids=TOGETHER)
def test_it_refuses_what_does_not_go_together(
    load: Any, environment: dict[str, str], change: dict[str, str], name: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"^{name}\b") as refusal:
        load({**environment, **change})
    assert not any(value in str(refusal.value) for value in change.values() if len(value) > 4)


def test_the_environment_wins_over_files(load: Any, tmp_path: Any) -> None:
    file = tmp_path / "settings"
    file.write_text("SITE_NAME=From the file\nSUPPORT_EMAIL=file@example.com\n")
    loaded = load({**DEVELOPMENT, "ENV_FILES": str(file), "SITE_NAME": "From the environment"})
    assert (loaded["SITE_NAME"], loaded["SUPPORT_EMAIL"]) == ("From the environment", "file@example.com")


def test_a_mail_provider_is_named_by_the_environment_alone(load: Any) -> None:
    backend = "anymail.backends.postmark.EmailBackend"
    loaded = load({**PRODUCTION, "EMAIL_BACKEND": backend, "ANYMAIL_POSTMARK_SERVER_TOKEN": "token"})
    assert loaded["EMAIL_BACKEND"] == backend
    assert loaded["ANYMAIL"] == {"POSTMARK_SERVER_TOKEN": "token"}


def test_every_setting_is_in_the_example() -> None:
    """But those that only our own commands and tests use."""
    read = set(re.findall(r'env\.[a-z_]+\(\s*"([A-Z_]*[A-Z])"', (ROOT / "marketplace" / "settings.py").read_text()))
    shown = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read - shown == {"DEMO", "STRIPE_SANDBOX_URL", "EMAIL_FILE_PATH"}
    assert shown - read == set()


@pytest.mark.slow
def test_the_deployment_check_has_nothing_to_say() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "DEBUG"],
        env={"PATH": os.environ["PATH"], **PRODUCTION},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("System check identified no issues (0 silenced).\n", "", 0)


@pytest.mark.slow
def test_the_check_warns_in_production_where_nobody_is_told_of_what_is_wrong() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={"PATH": os.environ["PATH"], **PRODUCTION, "OPERATOR_EMAILS": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "(marketplace.W001) Nobody is told by mail when something is wrong." in done.stderr
    assert "Set OPERATOR_EMAILS" in done.stderr
    assert done.returncode == 0


def test_nothing_is_silenced(load: Any) -> None:
    assert "SILENCED_SYSTEM_CHECKS" not in load(PRODUCTION)
