"""Where machines ask whether this one is well."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
