"""Pages that exist in development only."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
