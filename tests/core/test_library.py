"""The nouns of borrowing keep a reader's number to themselves."""

from terminal.core.library import ReaderNumber


def test_a_reader_number_shows_itself_to_nobody() -> None:
    """It is a string where it must be one, and nothing where it would be printed."""
    number = ReaderNumber("R-1")
    assert number == "R-1"
    assert "R-1" not in f"{number!r} {[number]}"
