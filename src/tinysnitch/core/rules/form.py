"""Forms: the ways in which a column or a qualifier may be spelled, for the parser and for docs/rules.md."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Generic, TypeVar

import msgspec

from tinysnitch.core.rules.words import BadWord, Word

Value = TypeVar("Value")


class Form(msgspec.Struct, Generic[Value], frozen=True):
    """One spelling. `parse` returns None for a word of another form, and raises BadWord for a wrong one of this."""

    spelling: str
    meaning: str
    parse: Callable[[Word], Value | None]


def parser_of(forms: Iterable[Form[Value]]) -> Callable[[Word], Value | None]:
    """A function that parses a word by the first form that it has; it returns None if it has none."""
    parsers = tuple(dict.fromkeys(form.parse for form in forms))

    def parse(word: Word) -> Value | None:
        for parser in parsers:
            value = parser(word)
            if value is not None:
                return value
        return None

    return parse


def unknown_word(what: str, word: str, known: Iterable[str]) -> BadWord:
    """The error for a word that is not among the known ones; its hint names the nearest one, else all."""
    known = tuple(known)
    near = get_close_matches(word[:64].lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else "write one of: " + " ".join(known)
    return BadWord(what, hint)
