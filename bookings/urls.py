"""The pages of bookings."""

from django.urls import path

from bookings import calendar_views, change_views, claim_views, room_views, views

app_name = "bookings"

urlpatterns = [
    # Choosing a time and agreeing to it.
    path("book/<int:offering_id>/", views.choose_slot, name="choose_slot"),
    path("book/<int:offering_id>/review/", views.review, name="review"),
    path("book/<int:offering_id>/confirm/", views.book, name="book"),
    # Sessions that a person takes.
    path("sessions/", views.sessions, name="sessions"),
    path("sessions/<int:booking_id>/", views.session, name="session"),
    path("sessions/<int:booking_id>/paid/", views.paid, name="paid"),
    path("sessions/<int:booking_id>/state/", views.state, name="state"),
    path("sessions/<int:booking_id>/pay/", views.continue_paying, name="continue_paying"),
    path("sessions/<int:booking_id>/let-go/", views.let_go, name="let_go"),
    path("sessions/<int:booking_id>/cancel/", change_views.cancel, name="cancel"),
    # Another time, for either side.
    path("sessions/<int:booking_id>/propose/", change_views.propose, name="propose"),
    path("sessions/<int:booking_id>/agree/", change_views.agree, name="agree"),
    path("sessions/<int:booking_id>/withdraw/", change_views.withdraw, name="withdraw"),
    # The room, and a session that did not go as agreed; for either side, too.
    path("sessions/<int:booking_id>/room/", room_views.room, name="room"),
    path("sessions/<int:booking_id>/room/seen/", room_views.seen, name="room_seen"),
    path("sessions/<int:booking_id>/room/leave/", room_views.leave, name="room_leave"),
    path("sessions/<int:booking_id>/report/", claim_views.report, name="report"),
    path("sessions/<int:booking_id>/contradict/", claim_views.contradict, name="contradict"),
    path("sessions/<int:booking_id>/take-back/", claim_views.take_back, name="take_back_report"),
    # Sessions of either kind, in a person's own calendar program.
    path("calendar/", calendar_views.calendar, name="calendar"),
    path("calendar/renew/", calendar_views.renew_calendar, name="renew_calendar"),
    path("calendar/<slug:token>.ics", calendar_views.calendar_feed, name="calendar_feed"),
    # Sessions that a coach gives.
    path("teach/sessions/", views.teaching, name="teaching"),
    path("teach/sessions/<int:booking_id>/", views.teaching_session, name="teaching_session"),
    path("teach/sessions/<int:booking_id>/accept/", views.accept, name="accept"),
    path("teach/sessions/<int:booking_id>/decline/", views.decline, name="decline"),
    path("teach/sessions/<int:booking_id>/cancel/", views.cancel_by_coach, name="cancel_by_coach"),
    path("teach/sessions/<int:booking_id>/complete/", views.complete, name="complete"),
]
