"""What a row of the process is made of."""

from dataclasses import dataclass
from enum import StrEnum

from bookings.models import Booking, Notice
from bookings.process.guards import When, always


class Role(StrEnum):
    STUDENT = "student"
    COACH = "coach"
    STAFF = "staff"
    TIMER = "timer"
    FACT = "fact"  # something that payments learnt about money


@dataclass(frozen=True, slots=True)
class Mail:
    """`template` names the files templates/mail/<template>-{subject.txt,body.txt,body.html}.

    A part that says the same to both sides is one file, without the side in its name.
    """

    recipient: Notice.Recipient
    template: str


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    url_name: str
    # What the person should know before they press it.
    hint: str
    asks_reason: bool = False
    main: bool = False  # the thing to do next, rather than a way out
    opens_page: bool = False  # where there is something to choose or to read before it is done
    # Where another button does the same, this one is not shown: only in these states, or in all if there are none.
    only_in: tuple[Booking.Status, ...] = ()


@dataclass(frozen=True, slots=True)
class Transition:
    """`guard` must hold for the transition to happen at all; `due` says when a timer brings it about.

    Without a `to` the booking stays in its state, and something else about it changes.
    """

    name: str
    who: tuple[Role, ...]
    sources: tuple[Booking.Status, ...]
    to: Booking.Status | None
    money: str
    guard: When = always
    when: str = ""  # the guard in words
    due: When | None = None
    due_by: str = "starts_at"  # the field that orders the timer's work
    due_words: str = ""
    to_if_instant: Booking.Status | None = None
    tell: tuple[Mail, ...] = ()
    tell_if_instant: tuple[Mail, ...] = ()
    button: Button | None = None

    def shows_button(self, *, role: Role, status: str) -> bool:
        if self.button is None or role not in self.who:
            return False
        return status in (self.button.only_in or self.sources)

    def target(self, *, instant: bool) -> Booking.Status | None:
        return self.to_if_instant if instant and self.to_if_instant else self.to

    def mails(self, *, instant: bool) -> tuple[Mail, ...]:
        return self.tell_if_instant if instant and self.to_if_instant else self.tell


def both(name: str) -> tuple[Mail, ...]:
    return (to_student(name), to_coach(name))


def to_student(name: str) -> Mail:
    return Mail(Notice.Recipient.STUDENT, f"{name}-student")


def to_coach(name: str) -> Mail:
    return Mail(Notice.Recipient.COACH, f"{name}-coach")
