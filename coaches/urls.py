"""The pages of coaches."""

from django.urls import path

from coaches import availability_views, calendar_views, views

app_name = "coaches"

urlpatterns = [
    # For everyone.
    path("coaches/", views.browse, name="browse"),
    path("coaches/<slug:slug>/", views.profile, name="profile"),
    # Where a coach sets up.
    path("teach/", views.teach, name="teach"),
    path("teach/profile/", views.edit_profile, name="edit_profile"),
    path("teach/hours/", availability_views.hours, name="hours"),
    path("teach/rules/", availability_views.rules, name="rules"),
    path("teach/dates/", availability_views.overrides, name="overrides"),
    path("teach/dates/new/", availability_views.new_override, name="new_override"),
    path("teach/dates/<int:override_id>/", availability_views.edit_override, name="edit_override"),
    path("teach/dates/<int:override_id>/remove/", availability_views.remove_override, name="remove_override"),
    path("teach/offerings/", views.offerings, name="offerings"),
    path("teach/offerings/new/", views.new_offering, name="new_offering"),
    path("teach/offerings/<int:offering_id>/", views.edit_offering, name="edit_offering"),
    path(
        "teach/offerings/<int:offering_id>/activate/",
        views.set_offering_active,
        {"active": True},
        name="activate_offering",
    ),
    path(
        "teach/offerings/<int:offering_id>/deactivate/",
        views.set_offering_active,
        {"active": False},
        name="deactivate_offering",
    ),
    path("teach/calendars/", calendar_views.calendars, name="calendars"),
    path("teach/calendars/<int:feed_id>/", calendar_views.edit_calendar, name="edit_calendar"),
    path("teach/calendars/<int:feed_id>/read/", calendar_views.read_calendar, name="read_calendar"),
    path("teach/calendars/<int:feed_id>/remove/", calendar_views.remove_calendar, name="remove_calendar"),
]
