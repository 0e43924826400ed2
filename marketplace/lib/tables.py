"""Tables as CSV by RFC 4180, in UTF-8, safe to open in a spreadsheet. The same rows give the same bytes."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from itertools import chain, islice

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

Cell = str | int | Decimal | date | datetime | None
Row = Sequence[Cell]

# What a spreadsheet may take for the beginning of a formula, by OWASP's list, full-width forms among it.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  # the look-alikes are the point
PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
ROWS_AT_ONCE = 500


def csv_text(header: Sequence[str], rows: Iterable[Row]) -> str:
    """The whole table, with its header as the first line."""
    return "".join(_parts(header, rows))


def csv_response(filename: str, header: Sequence[str], rows: Iterable[Row]) -> StreamingHttpResponse:
    """The table as a download; the rows are read while it is sent, so they may be many."""
    return StreamingHttpResponse(
        _parts(header, rows),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": content_disposition_header(as_attachment=True, filename=filename),
            "Cache-Control": "private, no-store",
        },
    )


def _parts(header: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    lines = chain([header], rows)
    while batch := list(islice(lines, ROWS_AT_ONCE)):
        written = StringIO()
        csv.writer(written, lineterminator="\r\n").writerows([_safe(cell) for cell in row] for row in batch)
        yield written.getvalue()


def _safe(cell: Cell) -> str | int | Decimal:
    """Times are UTC, to the second. An apostrophe before what looks like a formula shows it as text."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, str) and _looks_like_a_formula(cell):
        return f"'{cell}"
    return cell


def _looks_like_a_formula(text: str) -> bool:
    """Some readers drop spaces at the start before they look; a plain negative number stays a number."""
    begins = text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS)
    return begins and not PLAIN_NUMBER.fullmatch(text)
