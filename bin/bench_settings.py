"""The product's settings as in production, for the benchmark's web server: DEBUG logs every query and would count."""

from marketplace.settings import *  # noqa: F403
from marketplace.settings import BASE_DIR, STRIPE_SANDBOX_URL

DEBUG = False
STATIC_ROOT = BASE_DIR / "static"  # whitenoise wants a folder that is there
# dj-stripe asks the stand-in; our own intake asks nobody, and in production there is no sandbox whose clock it follows.
STRIPE_API_HOST = STRIPE_SANDBOX_URL
STRIPE_SANDBOX_URL = ""
