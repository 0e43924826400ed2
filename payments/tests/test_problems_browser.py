"""The list of what is wrong in a real browser: readable for everybody, and no wider than a phone."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from marketplace import clock
from marketplace.models import User
from marketplace.tests.staff import browser_of
from payments import problems
from payments.models import Difference, Problem, Standstill
from payments.tests.test_payouts_browser import assert_fit
from payments.tests.test_run_browser import LISTS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]


def test_staff_see_what_is_wrong_and_where_to_go(live_server: Any, page: Page, staff: User) -> None:
    cookie = browser_of(staff).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    now = clock.now()
    Standstill.objects.create(reason="The key is rolled.", began_at=now)
    for name in ("tr_1", "b" * 80):
        facts = {"found_at": now - timedelta(days=2), "seen_at": now}
        Difference.objects.create(code="missing_here", object_type="transfer", object_id=name, **facts)
    problems.look(now)
    listed = reverse("admin:payments_problem_changelist")
    page.goto(f"{live_server.url}{listed}?ended_at__isnull=True")
    expect(page.get_by_role("link", name="Look")).to_have_count(3)
    assert_fit(page, theme=LISTS)
    row = Problem.objects.get(kind="standstill")
    page.goto(live_server.url + reverse("admin:payments_problem_change", args=[row.pk]))
    assert_fit(page, theme=LISTS)
    page.get_by_role("link", name="Look").click()
    expect(page.get_by_text("Let sending to Stripe go on?")).to_be_visible()
