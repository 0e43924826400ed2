"""Documents in every script: each name can be read in them, and what can't be shown is said to be missing."""

import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.checks import papers_can_be_set
from marketplace.lib import letters
from marketplace.lib.letters import SUBSTITUTE, font_of, lines_as_seen, shown
from marketplace.lib.pdf import LEFT_TO_READER, SAYS_SO, Heading, Rows, Text, document


def made(*texts: str) -> bytes:
    return document(title="Receipt", author="Holdfast", blocks=[Text(text) for text in texts])


def read(file: bytes) -> str:
    """What a browser's reader finds, each line on its own and from its beginning."""
    pages = pypdfium2.PdfDocument(file)
    return "\n".join(page.get_textpage().get_text_range().replace("\r\n", "\n") for page in pages)


def seen(text: str, most: int = 1_000) -> list[str]:
    return lines_as_seen(text, lambda line: len(line) <= most)


@pytest.fixture
def _fonts_anew() -> Iterator[None]:
    """They are registered once in each process."""
    yield
    letters._embedded.cache_clear()
    font_of.cache_clear()


# --- each script --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["Łukasz Żółć", "Nguyễn Thị Bình", "Мария Ψ", "محمد عبد الله", "پژمان چگینی", "לאה בן דוד", "Բարև ქართული", "₩5"],
)
def test_a_name_can_be_read_as_it_was_typed(name: str) -> None:
    text = read(made(name))
    assert name in text.split("\n")
    assert SUBSTITUTE not in text
    assert LEFT_TO_READER not in text


@pytest.mark.parametrize("name", ["山田 太郎", "王小明", "王体国", "繁體", "김철수"])
def test_chinese_japanese_and_korean_are_left_to_the_readers_fonts(name: str) -> None:
    assert {font_of(letter) for letter in name if letter != " "} <= set(letters.READERS_FONTS.values())
    text = read(made(name))
    assert SAYS_SO not in text
    assert LEFT_TO_READER in text


@pytest.mark.parametrize(
    ("typed", "as_seen"),
    [
        # Joined by their neighbours: a first form, two middle ones and a last one, and the last one stands first.
        ("محمد", "\ufeaa\ufee4\ufea4\ufee3"),
        ("لا", "\ufefb"),
        ("שלום", "םולש"),
        ("the student (שלום) at 12:30", "the student (םולש) at 12:30"),
        ("שלום (sam@example.com)", "(sam@example.com) םולש"),
        ("שלום 12:30, ab", "ab ,12:30 םולש"),
        # Joined by hand and copied from elsewhere: the letters decide.
        ("\ufee3\ufea4\ufee4\ufeaa", "\ufeaa\ufee4\ufea4\ufee3"),
    ],
)
def test_letters_are_joined_and_in_the_order_in_which_they_are_seen(typed: str, as_seen: str) -> None:
    assert seen(typed) == [as_seen]


def test_nothing_else_turns_the_order_round() -> None:
    for turn in "\u202e\u202b\u2067\u200f\u061c":
        assert seen(f"Sam {turn}tneduts") == ["Sam tneduts"]
        assert seen(f"{turn}Sam") == ["Sam"]


def test_a_long_line_begins_with_its_first_words_and_long_words_are_parted() -> None:
    assert seen("אא בב גג דד", 5) == ["בב אא", "דד גג"]
    assert seen("אבגדהו זח", 4) == ["דגבא", "וה", "חז"]
    assert seen("אבגדהו זח", 5) == ["הדגבא", "חז \u05d5"]
    lines = [line for line in read(made("התלמיד אמר שהשיעור לא התחיל בזמן. " * 12)).split("\n") if "התלמיד" in line]
    assert len(lines) > 1
    assert lines[0].startswith("התלמיד אמר שהשיעור")


def test_a_decomposed_letter_is_set_as_one() -> None:
    assert "Łódź" in read(made("Ło\u0301dz\u0301"))


# --- what can't be shown ------------------------------------------------------------------------


def test_what_no_font_has_is_marked_and_the_document_says_so() -> None:
    text = read(made("हिन्दी"))
    assert SUBSTITUTE * 6 in text
    assert SAYS_SO in text
    assert SAYS_SO not in read(made("Why?"))


@pytest.mark.parametrize("where", [Heading("न"), Rows([("न", "1")]), Rows([("1", "न")])])
def test_it_says_so_wherever_the_character_is(where: Heading | Rows) -> None:
    assert SAYS_SO in read(document(title="Receipt", author="Holdfast", blocks=[where]))


@pytest.mark.parametrize(
    ("typed", "set_as"),
    [
        ("ę", "ę"),
        ("\U0001d400", "A"),
        ("ｶ", "ｶ"),
        ("न", SUBSTITUTE),
        ("\u200d", ""),
        ("\0", ""),
        ("\t", " "),
        ("\U00012544", SUBSTITUTE),
    ],
)
def test_a_character_is_shown_in_another_form_of_itself_and_never_as_another(typed: str, set_as: str) -> None:
    assert shown(typed) == set_as


@pytest.mark.usefixtures("_fonts_anew")
def test_further_fonts_come_after_ours_and_before_the_readers(settings: Any) -> None:
    file = str(distribution("reportlab").locate_file("reportlab/fonts/hb-test.ttf"))
    settings.PDF_FONTS = [file]
    letters._embedded.cache_clear()
    font_of.cache_clear()
    assert list(letters._embedded()) == ["Vera", "DejaVuSans", "hb-test"]


def test_a_font_that_cant_be_embedded_is_told_before_anybody_asks_for_a_document(settings: Any, tmp_path: Path) -> None:
    assert papers_can_be_set() == []
    other = tmp_path / "other.otf"
    whole = Path(str(distribution("reportlab").locate_file("reportlab/fonts/Vera.ttf")))
    cut_off = whole.read_bytes()[:1_000]
    for content in (b"OTTO" + bytes(40), b"", b"words", cut_off):
        other.write_bytes(content)
        settings.PDF_FONTS = [str(other)]
        assert [error.id for error in papers_can_be_set()] == ["marketplace.E001"]


# --- the same for ever, whatever was typed ------------------------------------------------------


def test_the_same_words_give_the_same_bytes_in_every_script() -> None:
    words = "محمد שלום Łódź Мария 山田 김 न 😀"
    first = made(words)
    made("Something else: ק פ Ψ ж")
    assert made(words) == first


def test_a_row_that_no_page_can_hold_goes_on_on_the_next_one() -> None:
    lines = [f"line {number}" for number in range(120)]
    for row in (("\n".join(lines), "1"), ("1", "\n".join(lines))):
        text = read(document(title="Statement", author="Holdfast", blocks=[Rows([("before", ""), row, ("after", "")])]))
        assert re.findall("before|line [0-9]+|after", text) == ["before", *lines, "after"]


@given(text=st.text(max_size=60))
def test_there_is_a_document_of_any_text(text: str) -> None:
    assert made(text, f"א{text}").startswith(b"%PDF-")


@given(text=st.text("אבגد محм ab(12)[.]\u202e ", max_size=80), most=st.integers(1, 20))
def test_no_letter_is_lost_on_the_way(text: str, most: int) -> None:
    lines = seen(text, most)
    hebrew = [letter for letter in text if letter in "אבג"]
    assert sorted(letter for line in lines for letter in line if letter in "אבג") == sorted(hebrew)
