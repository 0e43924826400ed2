"""Plain documents as PDF: headings, paragraphs and two-column rows. The same blocks give the same bytes.

What no font has is shown as a substitute, and the document says so at its end: so whoever is named in one is named by
something else, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, groupby
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from marketplace.lib.letters import BOLD, READERS_FONTS, REGULAR, SUBSTITUTE, font_of, lines_as_seen, shown

MARGIN, PADDING = 22 * mm, 6
PAGE, LABEL, VALUE = 166 * mm, 96 * mm, 70 * mm
SAYS_SO = f"“{SUBSTITUTE}” is in place of a character for which this document has no letters."
LEFT_TO_READER = "Some letters are in fonts that your PDF reader brings along; they are blank where it has none."


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
        leftMargin=MARGIN, rightMargin=MARGIN, topMargin=20 * mm, bottomMargin=20 * mm,
    )  # fmt: skip
    drawn = [_drawn(block) for block in [*blocks, *_about_letters(title, blocks)]]
    template.build([_paragraph(title, _style(20, BOLD, after=14)), *drawn])
    return out.getvalue()


def _about_letters(title: str, blocks: Sequence[Block]) -> list[Block]:
    """What a reader may not see, and why."""
    rows = (row for block in blocks if isinstance(block, Rows) for row in block.rows)
    texts = (block.text for block in blocks if not isinstance(block, Rows))
    characters = {shown(character) for text in (title, *texts, *chain(*rows)) for character in text}
    said: list[Block] = [Text(SAYS_SO)] if SUBSTITUTE in characters else []
    fonts = {font_of(character) for character in "".join(characters)}
    return [*said, Text(LEFT_TO_READER)] if fonts & set(READERS_FONTS.values()) else said


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
    cells = [[_paragraph(left, label, LABEL), _paragraph(right, value, VALUE)] for left, right in rows]
    # Between rows where it can be, and within one that is longer than a page.
    table = Table(cells, colWidths=[LABEL, VALUE], splitInRow=1)
    line = [("LINEABOVE", (0, -1), (-1, -1), 0.6, colors.black)] if last_is_total else []
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 2), *line]))
    return table


def _style(size: float, font: str, *, before: float = 0, after: float = 0, right: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        "plain", fontName=font, fontSize=size, leading=size * 1.45, spaceBefore=before, spaceAfter=after,
        alignment=2 if right else 0,
    )  # fmt: skip


def _paragraph(text: str, style: ParagraphStyle, width: float = PAGE) -> Paragraph:
    runs = ((font, escape(run)) for font, run in _set(text, style, width))
    marked = "".join(f'<font name="{font}">{run}</font>' if font else run for font, run in runs)
    return Paragraph(marked.replace("\n", "<br/>"), style)


def _set(text: str, style: ParagraphStyle, width: float) -> list[tuple[str | None, str]]:
    """Runs of one font each, in the order in which they are seen."""

    def fits(line: str) -> bool:
        widths = (stringWidth(run, font or style.fontName, style.fontSize) for font, run in _runs(line))
        return bool(sum(widths) <= width - 2 * PADDING)

    return _runs("\n".join(seen for line in text.split("\n") for seen in lines_as_seen(line, fits)))


def _runs(text: str) -> list[tuple[str | None, str]]:
    characters = "".join(shown(character) for character in text)
    return [(font, "".join(run)) for font, run in groupby(characters, font_of)]
