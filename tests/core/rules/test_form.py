import pytest

from tinysnitch.core.rules.form import Form, parser_of, unknown_word
from tinysnitch.core.rules.words import Word

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
