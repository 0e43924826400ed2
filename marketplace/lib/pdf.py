"""Plain documents as PDF: headings, paragraphs and two-column rows. The same blocks give the same bytes.

Western European letters are set in the font that reportlab ships; Greek, Cyrillic, Japanese, Chinese and Korean in
those that PDF readers bring along. What none has is shown without its accents, or else as a question mark: so
whoever is named in a document is named by something else, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import groupby
from unicodedata import combining, normalize
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

REGULAR, BOLD = "Vera", "VeraBd"
# The readers' own fonts, each by a character set that lies within it; the first that has a character sets it.
READERS_FONTS = {"shift_jis": "HeiseiKakuGo-W5", "gb2312": "STSong-Light", "euc_kr": "HYGothic-Medium"}
# The same sign in the form that those know.
WIDE = str.maketrans({"₩": "￦"})


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
    shown = "".join(_shown(character) for character in text.translate(WIDE))
    runs = ((font, escape("".join(run))) for font, run in groupby(shown, _font_of))
    marked = "".join(f'<font name="{font}">{run}</font>' if font else run for font, run in runs)
    return Paragraph(marked.replace("\n", "<br/>"), style)


def _shown(character: str) -> str:
    if _font_of(character) is not None:
        return character
    plain = "".join(part for part in normalize("NFKD", character) if not combining(part))
    return plain if plain and all(_font_of(part) is not None for part in plain) else "?"


@cache
def _font_of(character: str) -> str | None:
    """Empty where the text's own font has it; None where no font has."""
    if character in _own_characters():
        return ""
    return next((font for charset, font in READERS_FONTS.items() if _encodes(charset, character)), None)


def _encodes(charset: str, character: str) -> bool:
    try:
        character.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


@cache
def _own_characters() -> frozenset[str]:
    """Registers the fonts once in each process; what characters the first of them has."""
    regular = TTFont(REGULAR, "Vera.ttf")
    pdfmetrics.registerFont(regular)
    pdfmetrics.registerFont(TTFont(BOLD, "VeraBd.ttf"))
    for font in READERS_FONTS.values():
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    return frozenset(chr(code) for code in regular.face.charToGlyph) | {"\n"}
