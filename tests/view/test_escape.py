import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.model.any_text import ANY_TEXT
from tinysnitch.view.escape import (
    cell_width,
    escape_text,
    shorten_end,
    shorten_middle,
    shorten_words,
    wrap_columns,
    wrap_parts,
    wrap_shortened,
    wrap_words,
)


def test_what_begins_with_what_matters_loses_its_end() -> None:
    assert [shorten_end("answered", width) for width in (8, 4, 1, 0)] == ["answered", "ans…", "…", ""]
    assert wrap_shortened("one two three four", 8, 2) == ["one two ", "three f…"]
    assert wrap_shortened("one two", 8, 2) == ["one two"]


def test_a_row_ends_behind_a_comma_where_its_parts_fit() -> None:
    told = "since midnight: 9 programs, 581 names, 163 domains"
    assert wrap_parts(told, 80) == [told]
    assert wrap_parts(told, 40) == ["since midnight: 9 programs, 581 names,", "163 domains"]
    assert wrap_parts(told, 38, 2) == ["since midnight: 9 programs, 581 names,", "163 domains"]
    assert wrap_parts(told, 20, 1) == ["since midnight: 9 p…"]
    assert max(map(cell_width, wrap_parts("a, " + "b" * 50, 20))) == 20


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("/usr/bin/curl", "/usr/bin/curl"),
        ("größe 日本 שלום", "größe 日本 שלום"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\x00", "a\\x0ab\\x09c\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("gpj\u202etxt", "gpj\\u202etxt"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("caf\udce9", "caf\\xe9"),
        ("\udc80\udcff", "\\x80\\xff"),
        ("\ud800\uffff", "\\ud800\\uffff"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u3164b", "a\\u3164b"),
        ("a\U00013441b\U00013442", "a\\U00013441b\\U00013442"),
        ("a\U0001d159b\U00016fe4", "a\\U0001d159b\\U00016fe4"),
        ("a\ufffcb", "a\\ufffcb"),
        ("a\xa0b", "a\\xa0b"),
        ("e\u0301", "e\u0301"),
        ("\u0301x", "\\u0301x"),
        ("z\u0301\u0301\u0301", "z\u0301\u0301\\u0301"),
        (r"C:\x1b", r"C:\x1b"),
    ],
)
def test_escape_text_shows_what_hides(raw: str, shown: str) -> None:
    assert escape_text(raw) == shown


@given(ANY_TEXT)
def test_escaped_text_is_harmless_and_stable(raw: str) -> None:
    shown = escape_text(raw)
    assert shown.isprintable()
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in shown}
    assert escape_text(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("/usr/bin/curl", 13, "/usr/bin/curl"),
        ("/home/alice/projects/deep/deeper/program", 20, "/home/a…eper/program"),
        ("a.very.long.chain.of.labels.example.co.uk", 20, "a.very…example.co.uk"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("日本語日本語", 7, "日…本語"),
    ],
)
def test_shorten_middle_keeps_both_ends(text: str, width: int, shown: str) -> None:
    assert shorten_middle(text, width) == shown


def test_shorten_middle_keeps_the_whole_file_name_when_it_can() -> None:
    assert shorten_middle("/opt/" + "d/" * 50 + "long-program-name", 24).endswith("/long-program-name")


PILED = "a\u0316\u0317"  # one column of three characters


def test_marks_that_take_no_column_cost_none() -> None:
    assert shorten_middle(f"/opt/{PILED * 30}/end", 20) == f"/opt/{PILED * 2}…{PILED * 8}/end"
    assert shorten_middle(PILED * 3, 1) == "…"
    assert shorten_end(PILED * 30, 5) == f"{PILED * 4}…"


@given(ANY_TEXT, st.integers(1, 40))
def test_no_mark_lands_on_the_sign_of_what_is_left_out(raw: str, width: int) -> None:
    """A combining mark would overprint our ellipsis, and show the text as something else."""
    shown = shorten_middle(escape_text(f"{raw}{PILED * 40}"), width)
    assert not unicodedata.category(shown.rpartition("…")[2][:1] or "x").startswith("M")


@given(ANY_TEXT, st.integers(0, 40))
def test_shorten_middle_never_exceeds_its_width(raw: str, width: int) -> None:
    assert cell_width(shorten_middle(escape_text(raw), width)) <= width


def test_a_word_is_broken_after_a_folder_or_a_label() -> None:
    assert wrap_columns("allow cdn.evil-bank.com 443", 15) == ["allow cdn.", "evil-bank.com ", "443"]
    assert wrap_columns("/home/alice/unpacked/app", 16) == ["/home/alice/", "unpacked/app"]
    assert wrap_columns("x" * 12, 10) == ["x" * 10, "xx"]
    assert wrap_columns("日本", 1) == ["日", "本", ""]  # what fits nowhere ends, too


@given(ANY_TEXT, st.integers(2, 40))
def test_wrapped_lines_are_the_text_and_fit(raw: str, width: int) -> None:
    text = escape_text(raw)
    lines = wrap_columns(text, width)
    assert "".join(lines) == text
    assert all(cell_width(line) <= width for line in lines)


@pytest.mark.parametrize("text", ["é" * 100_000, "\\x1b" * 100_000])
def test_a_long_text_is_wrapped_in_a_moment(text: str) -> None:
    """Arguments of 128 KiB, where there is no BPF, each time that a key is pressed."""
    begun_s = time.process_time()
    assert "".join(wrap_columns(text, 80)) == text
    assert time.process_time() - begun_s < 1


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (34, "no answer within 60 s, and no rule"),
        (33, "no answer within 60 s, and no…"),
        (24, "no answer within 60 s…"),
        (20, "no answer within…"),
        (12, "no answer…"),
        (6, "no an…"),
    ],
)
def test_a_sentence_ends_with_a_word(width: int, shown: str) -> None:
    assert shorten_words("no answer within 60 s, and no rule", width) == shown


@given(ANY_TEXT, st.integers(0, 60))
def test_words_fit_but_those_that_are_wider_alone(raw: str, width: int) -> None:
    text = escape_text(raw)
    assert cell_width(shorten_words(text, width)) <= max(width, 0)
    rows = wrap_words(text, width)
    assert " ".join(rows).split() == text.split()
    assert [row for row in rows if cell_width(row) > width and " " in row] == []
