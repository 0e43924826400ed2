"""All settings, in one file. What an operator may set is read through `marketplace.env`; `.env.example` lists it."""

from datetime import timedelta
from typing import Any

import environ
import structlog
from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured

from marketplace import env, logs

env.load_files()
BASE_DIR = env.BASE_DIR

# --- the ground ---------------------------------------------------------------------------------

DEBUG = env.yes_no("DEBUG", False)
# The pages under /dev/: sent mail, and the clock. A setting of their own, since the test runner turns DEBUG off.
DEVELOPMENT_PAGES = DEBUG
DEMO = env.yes_no("DEMO", False)  # demo logins and data; only ever beside DEBUG
SECRET_KEY = env.required("SECRET_KEY")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "127.0.0.1,localhost" if DEBUG else "")
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS is not set.")
SITE_NAME = env.text("SITE_NAME", "Holdfast")
# Mails link to it, and Stripe sends people back to it.
SITE_URL = env.matching(
    "SITE_URL", r"https?://[^/\s]+", "an address without a path", "http://127.0.0.1:8000" if DEBUG else ""
)
if not SITE_URL:
    raise ImproperlyConfigured("SITE_URL is not set.")
SUPPORT_EMAIL = env.text("SUPPORT_EMAIL", "support@example.com")
OPERATOR_EMAILS = env.addresses("OPERATOR_EMAILS")  # who is told when something is wrong
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "marketplace.User"
ROOT_URLCONF = "marketplace.urls"
WSGI_APPLICATION = "marketplace.wsgi.application"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.simple_history",
    "marketplace",
    "coaches",
    "payments",
    "bookings",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.headless",
    "csp",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "djstripe",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "health_check",
    "heroicons",
    "rest_framework",
    "simple_history",
    "widget_tweaks",
]

MIDDLEWARE = [
    "payments.intake.straight_to_intake",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "csp.middleware.CSPMiddleware",
    "marketplace.middleware.response_policies",
    "marketplace.middleware.refuse_unreadable",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "marketplace.middleware.staff_second_factor",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "marketplace.context.site",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
INSTALLED_APPS.append("django.forms")  # so that the renderer above finds Django's own form templates

# --- data ---------------------------------------------------------------------------------------


def _database() -> dict[str, Any]:
    url = env.text("DATABASE_URL")
    if not url and not DEBUG:
        raise ImproperlyConfigured("DATABASE_URL is not set; SQLite is for development.")
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": BASE_DIR / "var" / "holdfast.sqlite3",
            # WAL lets readers go on beside the one writer; IMMEDIATE takes the write lock at the start of a
            # transaction, without which a read-then-write transaction fails as "locked" under load.
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
            },
        }
    try:
        config = environ.Env.db_url_config(url)
    except ValueError:
        config = {}
    if config.get("ENGINE") != "django.db.backends.postgresql" or not config.get("NAME"):
        raise ImproperlyConfigured("DATABASE_URL is not a postgres:// address.")
    return {**config, "CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}


DATABASES = {"default": _database()}

REDIS_URL = env.matching("REDIS_URL", r"rediss?://\S+", "a redis:// address")
if not REDIS_URL:
    if not DEBUG:
        raise ImproperlyConfigured("REDIS_URL is not set.")
    REDIS_URL = "redis://127.0.0.1:6399/0"
CACHES = {
    "default": {
        "BACKEND": "marketplace.lib.cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    },
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"

# --- the worker ---------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Rows are the promise and tasks only the fast path: a lost broker must not hold up a request.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    # Else whoever publishes would try to connect for many seconds. Workers and beat have retries of their own.
    "max_retries": 0,
}


def _every(seconds: float, task: str) -> dict[str, Any]:
    # A tick that could not start within its own period is dropped: the next one does the same work.
    return {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": max(seconds, 2)}}


CELERY_BEAT_SCHEDULE = {
    "sweep_events": _every(1, "payments.tasks.sweep_events"),
    "sweep_operations": _every(5, "payments.tasks.sweep_operations"),
    "poll_open_payments": _every(10, "payments.tasks.poll_open_payments"),
    "close_overdue_pages": _every(20, "payments.tasks.close_overdue_pages"),
    "poll_payout_accounts": _every(20, "payments.tasks.poll_payout_accounts"),
    "poll_payouts": _every(20, "payments.tasks.poll_payouts"),
    "poll_balances": _every(60, "payments.tasks.poll_balances"),
    "find_platform_payouts": _every(900, "payments.tasks.find_platform_payouts"),
    "poll_refunds": _every(20, "payments.tasks.poll_refunds"),
    "find_refunds_at_stripe": _every(900, "payments.tasks.find_refunds_at_stripe"),
    "poll_disputes": _every(20, "payments.tasks.poll_disputes"),
    "find_disputes_at_stripe": _every(900, "payments.tasks.find_disputes_at_stripe"),
    "build_packets": _every(30, "bookings.tasks.build_packets"),
    "send_dispute_mails": _every(60, "payments.tasks.send_dispute_mails"),
    "send_bank_mails": _every(60, "payments.tasks.send_bank_mails"),
    "run_payouts": _every(30, "payments.tasks.run_due_payouts"),
    "send_payout_mails": _every(30, "payments.tasks.send_payout_mails"),
    "mirror_events": _every(5, "payments.tasks.mirror_events"),
    "look_out": _every(60, "payments.tasks.look_out"),
    "tell_operators": _every(60, "payments.tasks.tell_operators"),
    "check_ledger": _every(3600, "payments.tasks.check_ledger"),
    "reconcile": _every(300, "payments.tasks.reconcile"),
    "close_months": _every(600, "payments.tasks.close_months"),
    "prune_events": _every(3600, "payments.tasks.prune_events"),
    "run_due_transitions": _every(10, "bookings.tasks.run_due_transitions"),
    "send_notices": _every(5, "bookings.tasks.send_notices"),
    "read_calendars": _every(30, "coaches.tasks.read_calendars"),
    "beat_heartbeat": _every(2, "marketplace.tasks.beat_heartbeat"),
}

# --- Stripe and money ---------------------------------------------------------------------------

STRIPE_API_VERSION = "2026-08-26.dahlia"  # dj-stripe reads this too; webhook endpoints are registered with it
STRIPE_SECRET_KEY = env.matching("STRIPE_SECRET_KEY", r"[sr]k_(test|live)_[A-Za-z0-9]{24,}", "a Stripe secret key")
STRIPE_MIRROR_KEY = env.matching(
    "STRIPE_MIRROR_KEY", r"[sr]k_(test|live)_[A-Za-z0-9]{24,}", "a Stripe key", STRIPE_SECRET_KEY
)
STRIPE_LIVE_MODE = "_live_" in STRIPE_SECRET_KEY
STRIPE_WEBHOOK_SECRETS = env.words("STRIPE_WEBHOOK_SECRETS")
STRIPE_CONNECT_WEBHOOK_SECRETS = env.words("STRIPE_CONNECT_WEBHOOK_SECRETS")
STRIPE_SANDBOX_URL = env.matching(
    "STRIPE_SANDBOX_URL", r"http://(127\.0\.0\.1|localhost):[0-9]+", "an http:// address on this machine"
)


def _refuse_unsafe_stripe() -> None:
    if not STRIPE_SECRET_KEY:
        raise ImproperlyConfigured("STRIPE_SECRET_KEY is not set.")
    if STRIPE_LIVE_MODE and DEBUG:
        raise ImproperlyConfigured("STRIPE_SECRET_KEY is a live key and DEBUG is on.")
    if ("_live_" in STRIPE_MIRROR_KEY) != STRIPE_LIVE_MODE:
        raise ImproperlyConfigured("STRIPE_MIRROR_KEY and STRIPE_SECRET_KEY are of different modes.")
    if STRIPE_SANDBOX_URL and not DEBUG:
        raise ImproperlyConfigured("STRIPE_SANDBOX_URL is set and DEBUG is off.")
    if STRIPE_SANDBOX_URL and STRIPE_LIVE_MODE:
        raise ImproperlyConfigured("STRIPE_SANDBOX_URL is set and STRIPE_SECRET_KEY is a live key.")
    for name, secrets in (
        ("STRIPE_WEBHOOK_SECRETS", STRIPE_WEBHOOK_SECRETS),
        ("STRIPE_CONNECT_WEBHOOK_SECRETS", STRIPE_CONNECT_WEBHOOK_SECRETS),
    ):
        if not secrets:
            raise ImproperlyConfigured(f"{name} is not set.")
        if not all(secret.startswith("whsec_") and len(secret) >= 20 for secret in secrets):
            raise ImproperlyConfigured(f"{name} holds something that is not a webhook secret.")
    if DEMO and not DEBUG:
        raise ImproperlyConfigured("DEMO is on and DEBUG is off.")


_refuse_unsafe_stripe()

# dj-stripe mirrors Stripe's objects; its own webhook view is not exposed.
STRIPE_TEST_SECRET_KEY = "" if STRIPE_LIVE_MODE else STRIPE_MIRROR_KEY
STRIPE_LIVE_SECRET_KEY = STRIPE_MIRROR_KEY if STRIPE_LIVE_MODE else ""
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
if STRIPE_SANDBOX_URL:
    STRIPE_API_HOST = STRIPE_SANDBOX_URL

# What all processes together ask of Stripe in a second, below its 100 live and 25 in test mode; 0: not paced.
STRIPE_CALLS_PER_SECOND = env.whole_number(
    "STRIPE_CALLS_PER_SECOND", 0 if STRIPE_SANDBOX_URL else 80 if STRIPE_LIVE_MODE else 20, 0, 10_000
)

# How old the last look for changes that we don't know of may be when something is sent; 0: nobody looks.
STRIPE_LOOK_OUT_SECONDS = env.whole_number("STRIPE_LOOK_OUT_SECONDS", 120, 0, 86_400)

PLATFORM_FEE_BPS = env.whole_number("PLATFORM_FEE_BPS", 2000, 0, 10_000)
SETTLEMENT_MODE = env.one_of("SETTLEMENT_MODE", {"monthly", "per_session"}, "monthly")
# What one member of staff may refund of a payment; beyond it a second one has to agree. Minor units of any currency.
REFUND_APPROVAL_LIMIT = env.whole_number("REFUND_APPROVAL_LIMIT", 20_000, 0, 99_999_999)
# The monthly run: what is less waits for the next one (minor units by currency), and how many transfers at once.
PAYOUT_MINIMUM = env.amounts("PAYOUT_MINIMUM")
PAYOUT_SENDERS = env.whole_number("PAYOUT_SENDERS", 12, 1, 32)
# Coaches' accounts, fixed when one is made; and what a coach may choose for its payouts to the bank.
CONNECT_ACCOUNT_TYPE = env.one_of("CONNECT_ACCOUNT_TYPE", {"express", "custom"}, "express")
PAYOUT_INTERVALS = env.words("PAYOUT_INTERVALS", "monthly")
PAYOUT_EARLIEST_DAY = env.whole_number("PAYOUT_EARLIEST_DAY", 1, 1, 31)
PAYOUT_LATEST_DAY = env.whole_number("PAYOUT_LATEST_DAY", 31, PAYOUT_EARLIEST_DAY, 31)
PAYOUT_DAY = env.whole_number("PAYOUT_DAY", max(5, PAYOUT_EARLIEST_DAY), PAYOUT_EARLIEST_DAY, PAYOUT_LATEST_DAY)
PAYOUT_NOW = env.one_of("PAYOUT_NOW", {"no", "standard", "instant"}, "standard")
if not PAYOUT_INTERVALS or not {"daily", "weekly", "monthly"} >= set(PAYOUT_INTERVALS):
    raise ImproperlyConfigured("PAYOUT_INTERVALS must be some of: daily, weekly, monthly.")
# What stays in the platform's own balance when it is paid out, in minor units by currency.
PLATFORM_RESERVE = env.amounts("PLATFORM_RESERVE")
# Who issues the fee invoices, and the tax that is part of the fee, in basis points of the fee without it.
OPERATOR_NAME = env.text("OPERATOR_NAME", SITE_NAME)
OPERATOR_ADDRESS = env.text("OPERATOR_ADDRESS")
OPERATOR_TAX_ID = env.text("OPERATOR_TAX_ID")
FEE_TAX_BPS = env.whole_number("FEE_TAX_BPS", 0, 0, 10_000)
# Further fonts for PDF files, for scripts that ours have no letters of; the first that has a letter sets it.
PDF_FONTS = env.files("PDF_FONTS")
CURRENCIES = [word.lower() for word in env.words("CURRENCIES", "usd")]
COUNTRIES = [word.upper() for word in env.words("COUNTRIES", "US")]
if not CURRENCIES or not all(len(word) == 3 and word.isalpha() for word in CURRENCIES):
    raise ImproperlyConfigured("CURRENCIES must be a list of three-letter currencies.")
if not COUNTRIES or not all(len(word) == 2 and word.isalpha() for word in COUNTRIES):
    raise ImproperlyConfigured("COUNTRIES must be a list of two-letter countries.")
MEETING_URL = env.matching("MEETING_URL", r"https://[^/\s]+(/\S*)?", "an https:// address", "https://meet.jit.si")

# --- people -------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "marketplace.forms.SignupForm"
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_CHANGE_EMAIL = True  # one address for each person; a new one takes its place once it is confirmed
ACCOUNT_EMAIL_NOTIFICATIONS = True  # a changed password or address is reported to its owner
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_ADAPTER = "marketplace.accounts.AccountAdapter"
ACCOUNT_USER_DISPLAY = "marketplace.accounts.user_display"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http" if DEBUG else "https"
ALLAUTH_TRUSTED_PROXY_COUNT = env.whole_number("TRUSTED_PROXY_COUNT", 0, 0, 5)
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_ISSUER = SITE_NAME
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
DEMO_STAFF_EMAIL = "staff@example.com" if DEMO else ""

LANGUAGE_CODE = "en-gb"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "marketplace.formats"

# --- the API ------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "allauth.headless.contrib.rest_framework.authentication.XSessionTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "marketplace.second_factor.StaffHaveSecondFactor",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["marketplace.lib.json_bodies.ReadableJson"],
    "DEFAULT_SCHEMA_CLASS": "drf_standardized_errors.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "marketplace.lib.api.Pagination",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "240/minute"},
    # Else whoever is not signed in gets round it by an X-Forwarded-For of their own.
    "NUM_PROXIES": ALLAUTH_TRUSTED_PROXY_COUNT,
}
DRF_STANDARDIZED_ERRORS = {"EXCEPTION_HANDLER_CLASS": "marketplace.lib.api.DomainExceptionHandler"}
_NOT_TEXT = ("null_characters_not_allowed", "surrogate_characters_not_allowed")
SPECTACULAR_SETTINGS = {
    "TITLE": f"{SITE_NAME} API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        **{
            f"{name}Enum": f"drf_standardized_errors.openapi_serializers.{name}Enum.choices"
            for name in ("ValidationError", "ClientError", "ServerError")
        },
        "SideEnum": ["student", "coach"],
        "KindEnum": "bookings.models.Claim.Kind",
        "StatementLineKindEnum": "payments.api.reporting.KIND_CHOICES",
        # What several endpoints refuse alike: which field, and why.
        "NoFieldEnum": ["non_field_errors"],
        "NoFieldCodeEnum": ["invalid", "null"],
        "ReasonFieldEnum": ["reason"],
        "ReasonCodeEnum": ["invalid", "max_length", "null", *_NOT_TEXT],
        "WordsFieldEnum": ["words"],
        "TextCodeEnum": ["blank", "invalid", "max_length", "null", "required", *_NOT_TEXT],
        "ChoiceCodeEnum": ["invalid_choice", "null", "required"],
        "OptionalChoiceCodeEnum": ["invalid_choice", "null"],
        "NumberCodeEnum": ["invalid", "max_string_length", "max_value", "min_value", "null"],
        "StartsAtFieldEnum": ["starts_at"],
        "StartsAtCodeEnum": ["blank", "invalid", "invalid_instant", "null", "required", *_NOT_TEXT],
    },
}
HEADLESS_CLIENTS = ("app",)

# --- mail ---------------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", f"{SITE_NAME} <hello@example.com>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_FILE_PATH = BASE_DIR / env.text("EMAIL_FILE_PATH", "var/mail")
# In development mail is written to files and readable at /dev/mail/; anywhere else the operator names a backend,
# such as anymail.backends.postmark.EmailBackend with its ANYMAIL_* settings (docs/operating.md).
EMAIL_BACKEND = env.text(
    "EMAIL_BACKEND",
    "django.core.mail.backends.filebased.EmailBackend" if DEBUG else "django.core.mail.backends.smtp.EmailBackend",
)
ANYMAIL = env.with_prefix("ANYMAIL_")
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.whole_number("EMAIL_PORT", 25, 1, 65535)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.yes_no("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = 10

# --- the browser --------------------------------------------------------------------------------

# A form that redirects to Stripe's pages is stopped by form-action unless they are named there.
_STRIPE_PAGES = (
    [STRIPE_SANDBOX_URL] if STRIPE_SANDBOX_URL else ["https://checkout.stripe.com", "https://connect.stripe.com"]
)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF, *_STRIPE_PAGES],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    },
}
# The admin theme's Alpine needs to evaluate expressions and sets inline styles: there only.
ADMIN_CONTENT_SECURITY_POLICY = {
    "script-src": [SELF, UNSAFE_EVAL, NONCE],
    "style-src": [SELF, UNSAFE_INLINE],
}
CSRF_FAILURE_VIEW = "marketplace.views.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
if not DEBUG:
    SECURE_SSL_REDIRECT = env.yes_no("SECURE_SSL_REDIRECT", True)
    # Those that watch ask the process itself, over plain HTTP.
    SECURE_REDIRECT_EXEMPT = [r"^health/"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    if env.yes_no("BEHIND_TLS_PROXY", True):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}
MEDIA_ROOT = BASE_DIR / "var" / "media"
MEDIA_URL = "/media/"

# --- the admin theme ----------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": SITE_NAME,
    "SITE_HEADER": SITE_NAME,
    "SITE_SUBHEADER": "For staff",
    "SITE_URL": "/",
    "SITE_ICON": "marketplace.admin_navigation.mark",
    "SITE_FAVICONS": [
        {"rel": "icon", "sizes": "any", "type": "image/svg+xml", "href": "marketplace.admin_navigation.mark"},
    ],
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "bookings.admin.dashboard.add_figures",
    # The accent of the pages (static/css/tokens.css), from its wash to its darkest.
    "COLORS": {
        "primary": {
            "50": "#eef7f4",
            "100": "#d8ebe5",
            "200": "#b4dacf",
            "300": "#7ccfbc",
            "400": "#3fa892",
            "500": "#35a08b",
            "600": "#0d5f53",
            "700": "#0b5046",
            "800": "#084439",
            "900": "#06352d",
            "950": "#06231d",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "marketplace.admin_navigation.groups",
    },
}

# --- logs ---------------------------------------------------------------------------------------

_SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED_PROCESSORS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _SHARED_PROCESSORS,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                logs.log_without_secrets,
                structlog.dev.ConsoleRenderer(colors=False) if DEBUG else structlog.processors.JSONRenderer(),
            ],
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["console"], "level": env.one_of("LOG_LEVEL", {"DEBUG", "INFO", "WARNING", "ERROR"}, "INFO")},
    "loggers": {
        "stripe": {"level": "WARNING"},  # at INFO the library logs every request's parameters
        "django_structlog": {"level": "WARNING" if DEBUG else "INFO"},
        # Timers tick every second: a line for each tick would drown what matters.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}

SENTRY_DSN = env.text("SENTRY_DSN")
if SENTRY_DSN:
    import sentry_sdk

    # Local variables hold what nobody may keep: addresses of Stripe's pages, names and e-mails on their way there.
    sentry_sdk.init(
        dsn=SENTRY_DSN,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        before_send=logs.report_without_secrets,
    )
