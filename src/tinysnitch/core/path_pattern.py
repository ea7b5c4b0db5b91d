r"""Patterns of paths: `*` is any text within one folder, `**` any text; `\*` and `\\` are the characters themselves."""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import zip_longest

_TOKEN = re.compile(r"\*+|(?:[^*\\]|\\.)+", re.DOTALL)


def escape_pattern(text: str) -> str:
    r"""A text as a pattern that matches just it: \* and \\."""
    return text.replace("\\", "\\\\").replace("*", "\\*")


def pattern_tokens(pattern: str) -> tuple[str, ...]:
    """A pattern as literal texts (still escaped), `*` and `**`."""
    return tuple("**" if token.startswith("***") else token for token in _TOKEN.findall(pattern))


def literal_of(token: str) -> str:
    """What a literal text of a pattern stands for."""
    return re.sub(r"\\(.)", r"\1", token, flags=re.DOTALL)


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    return _compile(pattern, "[^/]", ".", lambda token: re.escape(literal_of(token)))


@lru_cache(maxsize=16384)
def covers_pattern(wide: str, narrow: str) -> bool:
    """Whether `narrow` is `wide` with something narrower in the place of its stars.

    A text is a row of pairs: =c for the character c, ** and ## for a star of one folder and of many.
    """
    return _covering_regex(wide).fullmatch(_pairs_of(narrow)) is not None


_PAIRS = {"*": "**", "**": "##"}


@lru_cache(maxsize=4096)
def _covering_regex(pattern: str) -> re.Pattern[str]:
    return _compile(pattern, r"(?:=[^/]|\*\*)", r"(?:=.|\*\*|##)", lambda token: re.escape(_pairs_of(token)))


def _pairs_of(pattern: str) -> str:
    tokens = pattern_tokens(pattern)
    return "".join(_PAIRS.get(token) or "".join("=" + character for character in literal_of(token)) for token in tokens)


def _compile(pattern: str, one: str, many: str, spell: Callable[[str], str]) -> re.Pattern[str]:
    """`one`, `many`: what each star is any number of; `spell`: a literal text, still escaped.

    Who runs a program chooses its path, and must not choose how long that takes. So a star takes as little as it can,
    and that once (`(?>...)`): what it leaves the next star takes, if that takes as much.
    """
    tokens = pattern_tokens(pattern)
    texts = ("", *tokens) if tokens[:1] in (("*",), ("**",)) else tokens  # every other one is a star
    regex, behind, has_star, has_many = "", "", False, False
    for star, text in reversed(list(zip_longest(texts[1::2], texts[2::2], fillvalue=""))):
        if star == "*":
            behind = (f"(?>{one}*?{spell(text)})" if has_star else f"{one}*{spell(text)}") + behind
        else:
            behind = f"{many}*?{spell(text)}{behind}"
            regex, behind = (f"(?>{behind})" if has_many else behind) + regex, ""
            has_many = True
        has_star = True
    return re.compile("".join(map(spell, texts[:1])) + behind + regex, re.DOTALL)
