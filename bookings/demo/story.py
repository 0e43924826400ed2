"""What happened in the demo before it opens: bookings over the last weeks, in every state."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """One booking: made `days_ago` before the demo opens, for the first slot at least `ahead_hours` later."""

    days_ago: int
    student: str
    coach: str
    offering: int  # which of the coach's offerings
    ahead_hours: int
    ending: str  # a key of stage.ENDINGS
    note: str = ""


SCENES = (
    Scene(44, "student@example.com", "coach@example.com", 0, 30, "completed", "A wedding speech, in three weeks."),
    Scene(43, "student2@example.com", "chess@example.com", 0, 40, "completed"),
    Scene(42, "student3@example.com", "piano@example.com", 0, 26, "completed", "Second movement, bars 20 to 40."),
    Scene(41, "student2@example.com", "japanese@example.com", 0, 50, "completed"),
    Scene(40, "student@example.com", "coach@example.com", 1, 20, "completed"),
    Scene(38, "student3@example.com", "maths@example.com", 0, 45, "completed", "Eigenvalues."),
    Scene(37, "student@example.com", "chess@example.com", 1, 28, "completed"),
    Scene(36, "student2@example.com", "strength@example.com", 0, 36, "completed"),
    Scene(33, "student@example.com", "maths@example.com", 0, 30, "declined"),
    Scene(30, "student3@example.com", "coach@example.com", 0, 60, "completed", "A talk for my team."),
    Scene(27, "student2@example.com", "coach@example.com", 0, 50, "cancelled_by_student"),
    Scene(24, "student3@example.com", "chess@example.com", 0, 40, "completed_by_timer"),
    Scene(21, "student@example.com", "piano@example.com", 0, 30, "completed"),
    Scene(19, "student2@example.com", "japanese@example.com", 0, 45, "expired"),
    Scene(17, "student@example.com", "strength@example.com", 0, 34, "cancelled_by_coach"),
    Scene(15, "student3@example.com", "coach@example.com", 1, 26, "completed"),
    Scene(12, "student@example.com", "japanese@example.com", 0, 40, "abandoned"),
    Scene(10, "student2@example.com", "maths@example.com", 0, 30, "completed"),
    Scene(8, "student@example.com", "coach@example.com", 0, 48, "completed", "The wedding went well. Now: a pitch."),
    Scene(4, "student2@example.com", "coach@example.com", 0, 40, "completed"),
    Scene(3, "student2@example.com", "coach@example.com", 0, 23 * 24, "accepted", "A keynote. I am terrified."),
    Scene(2, "student3@example.com", "japanese@example.com", 0, 42 * 24, "accepted", "Before I move to Osaka."),
    Scene(2, "student@example.com", "chess@example.com", 1, 72, "accepted", "The London, please."),
    Scene(1, "student@example.com", "coach@example.com", 0, 60, "accepted", "Rehearsal with slides."),
    Scene(1, "student3@example.com", "coach@example.com", 0, 78, "requested", "First time. A best man's speech."),
    Scene(1, "student2@example.com", "chess@example.com", 0, 96, "proposed", "Three losses with Black."),
    Scene(0, "student2@example.com", "piano@example.com", 0, 40, "requested"),
    Scene(0, "student@example.com", "maths@example.com", 0, 50, "awaiting_payment"),
)
