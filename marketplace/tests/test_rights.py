"""The roles of the staff hold what their table says, after every migration, and can't be outgrown from within."""

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bin._servers import ROOT
from marketplace.models import User
from marketplace.rights import ROLES, grant_rights
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, browser_of, member_of

pytestmark = pytest.mark.django_db


def rights_of(name: str) -> set[str]:
    rows = Permission.objects.filter(group__name=name).values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


@pytest.mark.parametrize("name", ROLES)
def test_each_role_holds_exactly_its_rights(name: str) -> None:
    assert rights_of(name) == set(ROLES[name])


def test_a_migration_brings_the_roles_back_to_their_table() -> None:
    support = Group.objects.get(name="support")
    support.permissions.add(Permission.objects.get(codename="change_refund", content_type__app_label="payments"))
    Group.objects.get(name="finance").delete()
    for _ in range(2):
        call_command("migrate", verbosity=0)
        assert {name: rights_of(name) for name in ROLES} == {name: set(rights) for name, rights in ROLES.items()}


def test_before_there_are_groups_nothing_is_asked_of_the_database() -> None:
    """As with the very first migrations of an empty database."""
    with CaptureQueriesContext(connection) as queries:
        grant_rights(app_config=apps.get_app_config("contenttypes"), using="default", apps=ProjectState().apps)
    assert len(queries) == 0


def test_a_group_of_the_operators_own_is_left_alone() -> None:
    own = Group.objects.create(name="auditors")
    own.permissions.add(Permission.objects.get(codename="view_ledgerentry"))
    call_command("migrate", verbosity=0)
    assert rights_of("auditors") == {"payments.view_ledgerentry"}


def test_no_role_may_write_what_services_write() -> None:
    for rights in ROLES.values():
        for right in rights:
            app, codename = right.split(".")
            assert app != "djstripe" or codename.startswith("view_")
            assert not codename.startswith("delete_")
    assert {right for rights in ROLES.values() for right in rights if ".add_" in right} == {
        "payments.add_refund", "payments.add_correction", "payments.add_payout", "payments.add_standstill",
        "marketplace.add_user",
    }  # fmt: skip


def test_the_handbook_tells_each_role_as_it_is() -> None:
    handbook = (ROOT / "docs" / "operating.md").read_text()
    for right in sorted({right for rights in ROLES.values() for right in rights if ".view_" not in right}):
        row = next(line for line in handbook.splitlines() if f"`{right}`" in line)
        cells = [cell.strip() for cell in row.split("|")[-4:-1]]
        assert cells == ["yes" if right in ROLES[name] else "" for name in ("support", "finance", "admin")], right


def test_no_page_asks_for_a_group_by_name() -> None:
    pages = [path for app in ("marketplace", "coaches", "payments", "bookings") for path in (ROOT / app).rglob("*.py")]
    offenders = [path.name for path in pages if "tests" not in path.parts and "groups.filter(" in path.read_text()]
    assert offenders == []


def every_list() -> list[str]:
    names = [("bookings", "booking"), ("bookings", "claim"), ("payments", "payment"), ("payments", "refund"),
             ("payments", "dispute"), ("payments", "ledgerentry"), ("payments", "operation"),
             ("marketplace", "staffdecision"), ("marketplace", "user")]  # fmt: skip
    return [f"admin:{app}_{model}_changelist" for app, model in names]


@pytest.mark.parametrize(
    ("role", "closed"),
    [
        ("support", {"ledgerentry", "operation", "user"}),
        ("finance", {"user"}),
        ("admin", set()),
    ],
)
def test_each_role_opens_the_lists_that_are_its_own(role: str, closed: set[str]) -> None:
    client = as_role(role)
    found = {page.split("_")[-2] for page in every_list() if client.get(reverse(page)).status_code == 403}
    assert found == closed


@pytest.mark.parametrize(
    ("role", "desks"),
    [
        ("support", ["Money at risk", "Claims to decide", "Payments to refund", "Open disputes"]),
        (
            "finance",
            [
                "What is wrong",
                "Money at risk",
                "Claims to decide",
                "Payments to refund",
                "Refunds to approve",
                "Open disputes",
                "Chart of accounts",
                "Totals of the year",
                "Monthly run",
                "Failed payouts",
                "Pay out what is ours",
                "Reversals to decide",
                "Differences with Stripe",
                "Corrections to approve",
                "Stop sending to Stripe",
            ],
        ),
    ],
)
def test_the_side_bar_shows_each_role_its_desks_and_they_open(role: str, desks: list[str], sandbox: Sandbox) -> None:
    client = as_role(role)
    group = client.get(reverse("admin:index")).context["sidebar_navigation"][0]
    assert [item["title"] for item in group["items"]] == desks
    for item in group["items"]:
        assert client.get(str(item["link"])).status_code == 200, item["title"]


# --- nobody makes themselves more ---------------------------------------------------------------


def person_form(person: User, **changes: Any) -> dict[str, Any]:
    return {"name": person.name, "time_zone": "UTC", "is_active": "on", "is_staff": "on", **changes}


def edit(editor: User, person: User, **changes: Any) -> int:
    address = reverse("admin:marketplace_user_change", args=[person.pk])
    return int(browser_of(editor).post(address, person_form(person, **changes)).status_code)


def test_an_admin_makes_nobody_a_superuser() -> None:
    person = UserFactory.create()
    assert edit(member_of("admin"), person, is_superuser="on") == 302
    person.refresh_from_db()
    assert (person.is_staff, person.is_superuser) == (True, False)


def test_an_admin_changes_neither_a_superuser_nor_their_password(staff: User) -> None:
    admin = member_of("admin")
    assert edit(admin, staff, name="Taken over") == 403
    staff.refresh_from_db()
    assert staff.name == "Olga Operator"
    password = reverse("admin:auth_user_password_change", args=[staff.pk])
    assert browser_of_again(admin).post(password, {"password1": "x", "password2": "x"}).status_code == 403


def browser_of_again(user: User) -> Any:
    Authenticator.objects.filter(user=user).delete()
    return browser_of(user)


def test_an_admin_gives_themselves_no_other_role() -> None:
    admin = member_of("admin")
    finance = Group.objects.get(name="finance")
    assert edit(admin, admin, groups=[finance.pk]) == 302
    assert [group.name for group in admin.groups.all()] == ["admin"]


@pytest.mark.parametrize("role", ["support", "finance"])
def test_other_roles_change_nobody(role: str, staff: User) -> None:
    assert edit(member_of(role), staff, name="Taken over") == 403


def test_every_right_in_the_table_exists() -> None:
    known = {
        f"{app}.{codename}" for app, codename in Permission.objects.values_list("content_type__app_label", "codename")
    }
    assert {right for rights in ROLES.values() for right in rights} <= known
    assert {right.split(".")[0] for rights in ROLES.values() for right in rights} <= {
        app.label for app in apps.get_app_configs()
    }
