"""The product's settings with the sandbox for Stripe, for benchmarks that change things at Stripe."""

from marketplace.settings import *  # noqa: F403

DEBUG = False  # it would keep every query
