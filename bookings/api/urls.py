"""The endpoints of bookings."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from bookings.api.slots import SlotsView
from bookings.api.views import BookingViewSet

router = SimpleRouter()
router.register("bookings", BookingViewSet, basename="api_bookings")

urlpatterns = [
    *router.urls,
    path("coaches/<slug:slug>/slots", SlotsView.as_view(), name="api_slots"),
    # As the other addresses end, for clients that write all of them so.
    path("coaches/<slug:slug>/slots/", SlotsView.as_view(schema=None)),
]
