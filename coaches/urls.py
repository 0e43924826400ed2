"""The pages of coaches."""

from django.urls import URLPattern

app_name = "coaches"

urlpatterns: list[URLPattern] = []
