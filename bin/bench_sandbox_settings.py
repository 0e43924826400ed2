"""The product's settings with the sandbox for Stripe, for benchmarks that change things at Stripe."""

from marketplace.settings import *  # noqa: F403
from marketplace.settings import BASE_DIR

DEBUG = False  # it would keep every query
STATIC_ROOT = BASE_DIR / "static"  # whitenoise wants a folder that is there
