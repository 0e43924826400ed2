"""Letters of all scripts, for documents: which font has one, and the order in which those of a line are seen.

What is embedded comes with packages that the locks pin, so the same words give the same bytes anywhere. Chinese,
Japanese and Korean are set in fonts that PDF readers bring along, and further scripts in those of PDF_FONTS, letter by
letter.
"""

import re
import struct
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from unicodedata import bidirectional, category, normalize

from arabic_reshaper import ArabicReshaper
from bidi.algorithm import get_base_level, get_display
from django.conf import settings
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont

REGULAR, BOLD, WIDER = "Vera", "VeraBd", "DejaVuSans"
# The readers' own fonts, each by a character set that lies within it; the first that has a character sets it.
READERS_FONTS = {
    "shift_jis": "HeiseiKakuGo-W5", "gb2312": "STSong-Light", "euc_kr": "HYGothic-Medium", "big5": "MSung-Light",
}  # fmt: skip
# In place of what no font has; unlike a question mark it is never typed.
SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"
# What turns the order of other letters round: in a name it is a trick, and elsewhere the letters say it themselves.
DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def shown(character: str) -> str:
    """Itself, the same in a form that a font has, or the substitute; empty of what is no letter and has no width."""
    if character == "\n":
        return character
    if category(character) in ("Cc", "Cf"):
        return " " if character.isspace() else ""
    if category(character) == "Cn":
        return SUBSTITUTE
    if font_of(character) is not None:
        return character
    same = normalize("NFKC", character)
    return same if all(font_of(part) is not None for part in same) else SUBSTITUTE


@cache
def font_of(character: str) -> str | None:
    """Empty where the text's own font has it; None where no font has."""
    if character == "\n":
        return ""
    for font, characters in _embedded().items():
        if character in characters:
            return "" if font == REGULAR else font
    return next((font for charset, font in READERS_FONTS.items() if _encodes(charset, character)), None)


def lines_as_seen(line: str, fits: Callable[[str], bool]) -> list[str]:
    """Of one that has words from right to left: each part that fits, its letters joined and in the order in which they
    are seen. Broken here, since its end stands at the left by then. Any other line as it is.
    """
    plain = normalize("NFC", DIRECTIONS.sub("", line))
    if not any(bidirectional(character) in ("R", "AL") for character in plain):
        return [plain]
    joined = "".join(shown(character) for character in _joining().reshape(normalize("NFKC", plain)))
    base = "R" if get_base_level(joined) else "L"
    return [str(get_display(part.strip(), base_dir=base)) for part in _broken(joined, fits)]


def unusable_fonts() -> list[str]:
    """Those of PDF_FONTS that can't be embedded, each with what is wrong with it."""
    found = []
    for path in settings.PDF_FONTS:
        try:
            TTFont(Path(path).stem, path, shapable=False)
        except (TTFError, struct.error) as error:  # of a file that is cut off
            found.append(f"{path}: {error}")
    return found


def _broken(line: str, fits: Callable[[str], bool]) -> list[str]:
    """Between words, and within one that is too long alone."""
    parts, part = [], ""
    for word in line.split():
        longer = f"{part} {word}" if part else word
        if part and not fits(longer):
            parts.append(part)
            longer = word
        while not fits(longer):
            most = max(1, bisect_left(range(len(longer)), True, key=lambda size: not fits(longer[: size + 1])))
            parts.append(longer[:most])
            longer = longer[most:]
        part = longer
    return [*parts, part]


@cache
def _joining() -> ArabicReshaper:
    """The form of each letter by its neighbours. The name of God stays in letters: the font has no sign for it."""
    return ArabicReshaper({"ARABIC LIGATURE ALLAH": "no"})


@cache
def _embedded() -> dict[str, frozenset[str]]:
    """Registers the fonts once in each process; what characters each of them has, in the order of choice."""
    wider = distribution("ziafont").locate_file("ziafont/fonts/DejaVuSans.ttf")
    files = {REGULAR: "Vera.ttf", WIDER: str(wider), **{Path(path).stem: path for path in settings.PDF_FONTS}}
    pdfmetrics.registerFont(TTFont(BOLD, "VeraBd.ttf"))
    for font in READERS_FONTS.values():
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    found = {}
    for name, file in files.items():
        font = TTFont(name, file, shapable=False)
        pdfmetrics.registerFont(font)
        found[name] = frozenset(chr(code) for code in font.face.charToGlyph)
    return found


def _encodes(charset: str, character: str) -> bool:
    try:
        character.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
