"""The API's map, with its schema and a page to read it."""

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

urlpatterns = [
    path("", include("bookings.api.urls")),
    path("", include("payments.api.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="api_schema"),
    # Swagger's own page has a style of its own in it.
    path(
        "docs/",
        csp_update({"style-src": [UNSAFE_INLINE]})(SpectacularSwaggerSplitView.as_view(url_name="api_schema")),
        name="api_docs",
    ),
]
