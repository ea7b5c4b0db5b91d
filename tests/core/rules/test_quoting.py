""""""

import unicodedata
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.rules.rule_strategies import texts
from tinysnitch.core.rules.quoting import BadWord, Form, Word, parser_of, quote_word, split_words, unknown_word


def split(line: str) -> list[str]:
    return [word.text for word in split_words(line)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b\tc", ["a", "b", "c"]),
        ("  a  ", ["a"]),
        ("", []),
        ("# a comment", []),
        ("a b # a comment 'with a quote", ["a", "b"]),
        ("a b#c", ["a", "b#c"]),
        ("a '#' \\# \"#\"", ["a", "#", "#", "#"]),
        ("'a b'\"c d\"e", ["a bc de"]),
        (r'"\"\\\$\a"', ['"\\$\\a']),
        (r"a\ b", ["a b"]),
        ("''", [""]),
        ("a$b $", ["a$b", "$"]),
        (r"$'\n\t\e\'\\'", ["\n\t\x1b'\\"]),
        (r"$'\xc3\xbc\xff'", ["ü\udcff"]),
        (r"$'\E\303\274\xc3\274\377\0011'", ["\x1büü\udcff\x011"]),  # as `printf %q` of bash writes it
        (r"$'\u202e\U0001f600'", ["\u202e😀"]),
        ("é 'ü x'", ["é", "ü x"]),
    ],
)
def test_split_words_as_a_shell_does(line: str, words: list[str]) -> None:
    assert split(line) == words


def test_words_know_their_column_and_what_was_quoted() -> None:
    first, second = split_words("a  '*'*\\\\")
    assert (first.column, first.is_bare) == (1, True)
    assert (second.column, second.is_bare, second.text, second.pattern) == (4, False, "**\\", "\\**\\\\")


@pytest.mark.parametrize(
    ("line", "column", "problem"),
    [
        ("a 'b", 3, "the quote ' is not closed"),
        ('a "b', 3, 'the quote " is not closed'),
        ("a b\\", 3, "nothing follows the backslash"),
        (r"a $'\q'", 3, r"'\q' is not an escape"),
        (r"$'\400'", 1, r"'\4' is not an escape"),
        (r"$'\U00110000'", 1, r"'\U00110000' is not an escape"),
        ("a \x1b[0m", 3, "an invisible character"),
        ("a '\u202e'", 3, "an invisible character"),
        ("a \u3164", 3, "an invisible character"),
        ("a \udcff", 3, "a byte that is not UTF-8"),
        ("a \ud800", 3, "an invisible character"),
    ],
)
def test_split_words_refuses(line: str, column: int, problem: str) -> None:
    with pytest.raises(BadWord) as caught:
        split_words(line)
    assert (caught.value.column, caught.value.problem) == (column, problem)


@pytest.mark.parametrize(
    ("line", "hint"), [("a 'b", 'write "\'" for'), ('a "b', "write '\"' for"), ("b\\", "write '\\' for")]
)
def test_the_hint_tells_how_to_write_what_is_not_finished(line: str, hint: str) -> None:
    with pytest.raises(BadWord) as caught:
        split_words(line)
    assert caught.value.hint.startswith(hint)
    assert len(split_words(caught.value.hint.split()[1])) == 1


@pytest.mark.parametrize(
    ("character", "hint"),
    [("\u202e", r"write it as $'\u202e'"), ("\udce9", r"save it as UTF-8, or write it as $'\xe9'")],
)
def test_the_hint_tells_how_to_write_an_invisible_character(character: str, hint: str) -> None:
    with pytest.raises(BadWord) as caught:
        split_words(f"a /home/caf{character}")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/usr/bin/curl", "/usr/bin/curl"),
        ("", "''"),
        ("a b", "'a b'"),
        ("*", "'*'"),
        ("it's", r"$'it\'s'"),
        ("\n\x1b\udcff", r"$'\n\x1b\xff'"),
        ("\ud800\udcff", r"$'\ud800\udcff'"),
        ("\udcc3\udcbc", r"$'\udcc3\udcbc'"),
        ("\x85\U000e0100", r"$'\u0085\U000e0100'"),
        ("München", "'München'"),
    ],
)
def test_quote_word(text: str, word: str) -> None:
    assert quote_word(text) == word


@given(texts)
def test_a_quoted_text_reads_back_as_it_was(text: str) -> None:
    assert split(f"x {quote_word(text)} y") == ["x", text, "y"]


@given(texts)
def test_a_quoted_text_is_printable(text: str) -> None:
    assert all(c.isprintable() for c in quote_word(text))
    assert not {unicodedata.category(c) for c in quote_word(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text())
def test_split_words_raises_nothing_else(line: str) -> None:
    with suppress(BadWord):
        assert all(0 < word.column <= len(line) for word in split_words(line))


FORMS = (
    Form("a", "", lambda word: 1 if word.text == "a" else None),
    Form("?", "", lambda word: 2 if len(word.text) == 1 else None),
)


@pytest.mark.parametrize(("text", "value"), [("a", 1), ("b", 2), ("bb", None)])
def test_the_first_form_that_takes_the_word_counts(text: str, value: int | None) -> None:
    assert parser_of(FORMS)(Word(text, 1, True, text)) == value


@pytest.mark.parametrize(("word", "hint"), [("DENI", "did you mean 'deny'?"), ("x" * 9999, "write one of: allow deny")])
def test_unknown_word_names_the_nearest(word: str, hint: str) -> None:
    error = unknown_word("not a verdict", word, ["allow", "deny"])
    assert (error.problem, error.hint) == ("not a verdict", hint)
