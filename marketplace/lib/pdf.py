"""Plain documents as PDF: headings, paragraphs and two-column rows. The same blocks give the same bytes.

Latin scripts are set in the font that reportlab ships; what that lacks (Greek, Cyrillic, Japanese, Chinese) is set in
one that every PDF reader brings along. A character that neither has is shown as a question mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import groupby
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

REGULAR, BOLD, ASIAN = "Vera", "VeraBd", "HeiseiKakuGo-W5"


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; line breaks are kept."""

    text: str


@dataclass(frozen=True, slots=True)
class Rows:
    """What each thing is, and its value at the right; `last_is_total` draws a line above the last."""

    rows: Sequence[tuple[str, str]]
    last_is_total: bool = False


Block = Heading | Text | Rows


def document(*, title: str, author: str, blocks: Sequence[Block]) -> bytes:
    out = BytesIO()
    template = SimpleDocTemplate(
        out, pagesize=A4, title=title, author=author, invariant=1,
        leftMargin=22 * mm, rightMargin=22 * mm, topMargin=20 * mm, bottomMargin=20 * mm,
    )  # fmt: skip
    template.build([_paragraph(title, _style(20, BOLD, after=14)), *(_drawn(block) for block in blocks)])
    return out.getvalue()


def _drawn(block: Block) -> Flowable:
    match block:
        case Heading(text):
            return _paragraph(text, _style(12, BOLD, before=12, after=4))
        case Text(text):
            return _paragraph(text, _style(9.5, REGULAR, after=6))
        case Rows(rows, last_is_total):
            return _table(rows, last_is_total)


def _table(rows: Sequence[tuple[str, str]], last_is_total: bool) -> Flowable:
    if not rows:
        return Spacer(0, 0)
    label, value = _style(9.5, REGULAR), _style(9.5, REGULAR, right=True)
    table = Table(
        [[_paragraph(left, label), _paragraph(right, value)] for left, right in rows], colWidths=[96 * mm, 70 * mm]
    )
    line = [("LINEABOVE", (0, -1), (-1, -1), 0.6, colors.black)] if last_is_total else []
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 2), *line]))
    return table


def _style(size: float, font: str, *, before: float = 0, after: float = 0, right: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        "plain", fontName=font, fontSize=size, leading=size * 1.45, spaceBefore=before, spaceAfter=after,
        alignment=2 if right else 0,
    )  # fmt: skip


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    known = _font_of_latin()
    runs = ((has, "".join(run)) for has, run in groupby(text, lambda character: character in known))
    marked = "".join(escape(run) if has else _in_asian(run) for has, run in runs)
    return Paragraph(marked.replace("\n", "<br/>"), style)


def _in_asian(run: str) -> str:
    shown = run.encode("shift_jis", "replace").decode("shift_jis")
    return f'<font name="{ASIAN}">{escape(shown)}</font>'


@cache
def _font_of_latin() -> frozenset[str]:
    """Registers the fonts once in each process; what characters the first of them has."""
    regular = TTFont(REGULAR, "Vera.ttf")
    pdfmetrics.registerFont(regular)
    pdfmetrics.registerFont(TTFont(BOLD, "VeraBd.ttf"))
    pdfmetrics.registerFont(UnicodeCIDFont(ASIAN))
    return frozenset(chr(code) for code in regular.face.charToGlyph) | {"\n"}
