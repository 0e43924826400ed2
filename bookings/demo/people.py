"""Who is in the demo: coaches in several subjects, zones and currencies, and a few students."""

from dataclasses import dataclass
from datetime import time

from coaches.models import Offering
from coaches.slots import DayWindow
from payments.models import SettlementMode

PASSWORD = "demo-password"  # noqa: S105 (printed at start; these logins exist in the demo only)


@dataclass(frozen=True)
class DemoOffering:
    title: str
    description: str
    minutes: int
    price_amount: int  # minor units of the coach's currency
    instant: bool = False
    cancellation: str = Offering.Cancellation.FLEXIBLE


@dataclass(frozen=True)
class DemoDays:
    """Dates with other hours, or none, counted in days from when the demo opens."""

    first: int
    last: int
    note: str
    hours: tuple[DayWindow, ...] = ()


@dataclass(frozen=True)
class DemoCoach:
    email: str
    name: str
    subject: str
    headline: str
    bio: str
    time_zone: str
    country: str
    currency: str
    hours: tuple[DayWindow, ...]  # on every weekday, in the coach's zone
    offerings: tuple[DemoOffering, ...]
    settlement_mode: SettlementMode = SettlementMode.MONTHLY
    onboarding: str = "complete"  # as the sandbox names its outcomes
    other_days: tuple[DemoDays, ...] = ()
    buffer_after_minutes: int = 0


@dataclass(frozen=True)
class DemoStudent:
    email: str
    name: str
    time_zone: str


DAYTIME = (DayWindow(time(8), time(12)), DayWindow(time(13), time(20)))
EVENINGS = (DayWindow(time(12), time(22)),)
LATE = (DayWindow(time(12), time(16)), DayWindow(time(18), time(1), ends_next_day=True))

COACHES = (
    DemoCoach(
        "coach@example.com",
        "Mara Lindt",
        "Public speaking",
        "Say it so that people remember it",
        "We take the talk you have to give, find the one thing it is about, and practise until you look forward to it. "
        "Bring a draft, a deadline, or just the worry.",
        "Europe/Berlin",
        "DE",
        "eur",
        DAYTIME,
        (
            DemoOffering(
                "Rehearse your talk",
                "Run it, watch it back, fix the first two minutes.",
                60,
                9000,
                cancellation=Offering.Cancellation.MODERATE,
            ),
            DemoOffering("Half an hour of courage", "One hard moment of your talk, practised.", 30, 4500, instant=True),
        ),
        other_days=(DemoDays(25, 32, "Holidays"),),
        buffer_after_minutes=15,
    ),
    DemoCoach(
        "piano@example.com",
        "Owen Pryce",
        "Piano",
        "Practise less, play more",
        "Twenty minutes that count beat two hours that don't. I listen, we choose one thing, and you leave knowing "
        "how to work on it at home.",
        "Europe/London",
        "GB",
        "gbp",
        EVENINGS,
        (DemoOffering("Piano lesson", "For anyone who can find middle C.", 45, 4200),),
        settlement_mode=SettlementMode.PER_SESSION,
    ),
    DemoCoach(
        "chess@example.com",
        "Ruth Abara",
        "Chess",
        "Your own games are the best teacher",
        "Send me three games you lost. We find the habit behind them, and train it out with positions you will meet "
        "again.",
        "America/New_York",
        "US",
        "usd",
        DAYTIME,
        (
            DemoOffering("Game review", "Three of your games, one habit.", 60, 6500),
            DemoOffering("Opening check", "One opening, its plans, its traps.", 30, 3500, instant=True),
        ),
    ),
    DemoCoach(
        "japanese@example.com",
        "Kenji Mori",
        "Japanese conversation",
        "Speak from the first minute",
        "We talk. I write down what you wanted to say and could not, and next time you can.",
        "Asia/Tokyo",
        "JP",
        "jpy",
        LATE,
        (DemoOffering("Conversation", "At your level, about your week.", 50, 6000),),
        other_days=(DemoDays(9, 9, "A wedding in the evening", (DayWindow(time(9), time(14)),)),),
        buffer_after_minutes=10,
    ),
    DemoCoach(
        "strength@example.com",
        "Dana Whitlock",
        "Strength training",
        "Strong at home, with what you have",
        "Technique by video, a plan for the week, and no shouting. For beginners and for people coming back.",
        "America/Los_Angeles",
        "US",
        "usd",
        DAYTIME,
        (DemoOffering("Technique session", "Squat, hinge, push, pull: safely.", 45, 5500),),
        settlement_mode=SettlementMode.PER_SESSION,
    ),
    DemoCoach(
        "maths@example.com",
        "Elif Aydin",
        "Mathematics",
        "From stuck to solved, and why",
        "School or first year of university. We do your problems, not mine, until the method is yours.",
        "Europe/Berlin",
        "DE",
        "eur",
        EVENINGS,
        (DemoOffering("Problem hour", "Bring what you are stuck on.", 60, 5200),),
    ),
    DemoCoach(
        "newcoach@example.com",
        "Tom Hale",
        "Drawing",
        "Learn to see, then draw it",
        "Pencil and paper, an object from your table, and a patient hour.",
        "Europe/London",
        "GB",
        "gbp",
        DAYTIME,
        (DemoOffering("First drawing", "From blank page to finished sketch.", 60, 4000),),
        onboarding="partial",
    ),
)

STUDENTS = (
    DemoStudent("student@example.com", "Sam Ortega", "Europe/Madrid"),
    DemoStudent("student2@example.com", "Priya Nair", "America/Chicago"),
    DemoStudent("student3@example.com", "Jonas Berg", "Europe/Stockholm"),
)

STAFF = DemoStudent("staff@example.com", "Staff", "UTC")
