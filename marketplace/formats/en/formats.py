"""The admin's times: in UTC, and by the 24-hour clock as on our own pages. Django's would be "noon" and "8 a.m."."""

# https://docs.djangoproject.com/en/stable/ref/templates/builtins/#date
DATETIME_FORMAT = r"j M Y, H:i \U\T\C"
TIME_FORMAT = "H:i"
