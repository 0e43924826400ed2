from pathlib import Path

from bookings.process import PROCESS, process_table

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readme_shows_the_process_as_the_code_has_it() -> None:
    text = README.read_text()
    shown = text.split("<!-- process:")[1].split("-->", 1)[1].split("<!-- /process -->")[0].strip()

    assert shown == process_table()


def test_the_table_has_a_row_for_each_transition() -> None:
    assert len(process_table().splitlines()) == 2 + len(PROCESS)
