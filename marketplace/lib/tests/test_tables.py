"""Tables: a spreadsheet that opens one runs nothing, and a program that reads it gets every row back."""

import csv
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.lib.tables import FORMULA_STARTS, ROWS_AT_ONCE, Cell, csv_response, csv_text


def cell(value: Cell) -> str:
    return list(csv.reader(StringIO(csv_text(["a"], [[value]]), newline="")))[1][0]


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("https://example.com")',
        "=1+1",
        "+1+1",
        "-1+1",
        "--1",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "  =1+1",
        "\u00a0=1+1",
        "\uff1d1+1",
        "-",
        "-1e9",
        "+49 30 1234",
        "-1|cmd",
        "-1\n",
        "-\u0661",
    ],
)
def test_what_looks_like_a_formula_is_shown_as_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "Jane", "a=1", "1-1", "'=1", "-12.50", "-7", "0", "é, ü; 日本", 'a "b", c', "a\r\nb"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (-5, "-5"),
        (0, "0"),
        (Decimal("-12.50"), "-12.50"),
        (date(2026, 10, 5), "2026-10-05"),
        (datetime(2026, 10, 5, 23, 30, tzinfo=UTC), "2026-10-05T23:30:00Z"),
        (datetime(2026, 10, 5, 23, 30, tzinfo=timezone(timedelta(hours=-4))), "2026-10-06T03:30:00Z"),
    ],
)
def test_numbers_and_times_are_written_plainly(value: Cell, written: str) -> None:
    assert cell(value) == written


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2)
    )
)
def test_every_row_is_read_back_and_no_cell_begins_a_formula(rows: list[list[str]]) -> None:
    read = list(csv.reader(StringIO(csv_text(["a", "b"], rows), newline="")))
    assert read[0] == ["a", "b"]
    assert [[text.removeprefix("'") for text in row] for row in read[1:]] == [
        [text.removeprefix("'") for text in row] for row in rows
    ]
    numbers = {text for row in rows for text in row if text[1:].replace(".", "").isdigit()}
    assert not [text for row in read[1:] for text in row if text.startswith(FORMULA_STARTS) and text not in numbers]


def test_lines_end_as_the_standard_has_it() -> None:
    assert csv_text(["name", "amount"], [["a,b", 1], ['"c"', -2]]) == 'name,amount\r\n"a,b",1\r\n"""c""",-2\r\n'


def test_a_header_is_no_formula_either() -> None:
    assert csv_text(["=1"], []) == "'=1\r\n"


def test_a_download_carries_the_same_bytes_in_parts() -> None:
    rows: list[list[Cell]] = [[number, f"é{number}"] for number in range(2 * ROWS_AT_ONCE)]
    response = csv_response("entries.csv", ["number", "text"], iter(rows))
    parts = list(response)
    assert b"".join(parts) == csv_text(["number", "text"], rows).encode()
    assert len(parts) == 3
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="entries.csv"'
    assert response["Cache-Control"] == "private, no-store"


def test_a_hostile_file_name_adds_no_header() -> None:
    response = csv_response('a"; filename=b\r\nX-Evil: 1', ["a"], [])
    assert "\n" not in response["Content-Disposition"]
    assert "X-Evil" not in response.headers
