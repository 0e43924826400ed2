"""How long things last in the life of a booking. The margins fit together: see where each is used."""

from datetime import timedelta

# A slot is kept for half an hour while the student pays.
CHECKOUT_LASTS = timedelta(minutes=30)
# The coach answers within this time, and no later than this before the start or before the hold ends.
ANSWER_WITHIN = timedelta(hours=48)
ANSWER_BEFORE_START = timedelta(hours=1)
HOLD_MARGIN = timedelta(hours=6)
# A session that nobody marks complete is completed by itself this long after its end.
COMPLETES_AFTER = timedelta(hours=24)

# A hold made with the student present lives this long, and the bank's own end of it may be earlier.
HOLD_LIFE = timedelta(days=7)
# It must outlive the session: 24 h to complete it, 24 h to contradict, and the margin.
HOLD_AFTER_END = timedelta(hours=54)
# A card that was saved is held this long before the start: a hold without the student lives at least 4 d 18 h, which
# reaches 54 h past the end of the longest session.
AUTHORISE_BEFORE = timedelta(hours=48)
# Where the bank wants the student, they pay by link no later than this before the start.
PAY_BEFORE_START = timedelta(hours=12)
# Found out too late for that, they have until this before the start.
PAY_AT_LAST = timedelta(hours=1)
# Nobody is asked to pay by link with less time than this.
PAY_LINK_AT_LEAST = timedelta(hours=1)
# After the session: so long the student may still pay, then the platform pays the coach.
PAY_AFTER_END = timedelta(days=7)
# A hold that ends too early is made anew this long before its end.
RENEW_BEFORE_END = timedelta(hours=24)
# A proposal lapses after this, or so long before the earlier of the two starts.
PROPOSAL_LASTS = timedelta(hours=48)
PROPOSAL_BEFORE_START = timedelta(hours=1)
# A session can be reported until this after its end, and the other side may contradict for as long after the report.
REPORT_WITHIN = timedelta(hours=24)
CONTRADICT_WITHIN = timedelta(hours=24)
# A coach must have come and waited this long before they report that the student is missing.
COACH_WAITS = timedelta(minutes=10)
# What a student who does not come pays: this part of the price, in per cent.
NO_SHOW_PERCENT = 50
