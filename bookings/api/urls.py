"""The endpoints of bookings."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
