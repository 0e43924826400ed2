"""The runbooks name commands that there are, with the options that they have."""

import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

from marketplace.admin_navigation import DESKS

RUNBOOKS = sorted((Path(settings.BASE_DIR) / "docs" / "runbooks").glob("*.md"))
COMMAND = re.compile(r"python manage\.py ([^\n`]+)")


def commands() -> list[str]:
    return sorted({found for path in RUNBOOKS for found in COMMAND.findall(path.read_text())})


def parser_of(name: str) -> ArgumentParser:
    return load_command_class(get_commands()[name], name).create_parser("manage.py", name)


@pytest.mark.parametrize("line", commands())
def test_each_command_is_there_with_its_options(line: str) -> None:
    name, *options = shlex.split(line)
    parser_of(name).parse_args(options)


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.name)
def test_each_is_linked_from_the_handbook(path: Path) -> None:
    assert f"(runbooks/{path.name})" in (path.parent.parent / "operating.md").read_text()


def test_the_desks_that_they_send_people_to_are_there() -> None:
    text = "".join(path.read_text() for path in RUNBOOKS)
    titles = {desk[0] for desk in DESKS}
    for title in ("Monthly run", "Stop sending to Stripe", "Differences with Stripe", "Pay out what is ours"):
        assert title in titles
        assert f"*{title}*" in text
