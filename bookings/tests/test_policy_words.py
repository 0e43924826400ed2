"""What coaches read about the terms is what students agree to."""

from bookings import policy
from coaches.forms import CANCELLATION_WORDS
from coaches.models import Offering


def test_coaches_choose_by_the_very_words_that_students_agree_to() -> None:
    assert {code: policy.current(code).text for code in Offering.Cancellation} == CANCELLATION_WORDS
