"""The endpoints of bookings."""

from rest_framework.routers import SimpleRouter

from bookings.api.views import BookingViewSet

router = SimpleRouter()
router.register("bookings", BookingViewSet, basename="api_bookings")

urlpatterns = router.urls
