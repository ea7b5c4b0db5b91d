r"""Patterns of paths: `*` is any text within one folder, `**` any text; `\*` and `\\` are the characters themselves."""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import zip_longest

_LONGEST_KEPT = 256  # characters
_TOKEN = re.compile(r"\*+|(?:[^*\\]|\\.)+", re.DOTALL)


def escape_pattern(text: str) -> str:
    r"""The pattern that matches this text alone: its * and \ become \* and \\."""
    return text.replace("\\", "\\\\").replace("*", "\\*")


def pattern_tokens(pattern: str) -> tuple[str, ...]:
    """The parts of a pattern: `*`, `**`, and literal texts (still escaped)."""
    return tuple("**" if token.startswith("***") else token for token in _TOKEN.findall(pattern))


def literal_of(token: str) -> str:
    """The text that a literal part of a pattern stands for."""
    return re.sub(r"\\(.)", r"\1", token, flags=re.DOTALL)


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    return _compile(pattern, "[^/]", ".", lambda token: re.escape(literal_of(token)))


def covers_pattern(wide: str, narrow: str) -> bool:
    """Whether `wide` matches all that `narrow` does: `narrow` is `wide` with something narrower in place of its stars.

    For the comparison `narrow` is spelled in pairs of characters: =c for the character c, ** for `*` and ## for `**`.
    """
    return _kept_covers(wide, narrow) if len(narrow) <= _LONGEST_KEPT else _covers(wide, narrow)


def _covers(wide: str, narrow: str) -> bool:
    return _covering_regex(wide).fullmatch(_pairs_of(narrow)) is not None


_kept_covers = lru_cache(maxsize=16384)(_covers)  # no long texts, which users may choose


_PAIRS = {"*": "**", "**": "##"}


@lru_cache(maxsize=4096)
def _covering_regex(pattern: str) -> re.Pattern[str]:
    return _compile(pattern, r"(?:=[^/]|\*\*)", r"(?:=.|\*\*|##)", lambda token: re.escape(_pairs_of(token)))


def _pairs_of(pattern: str) -> str:
    tokens = pattern_tokens(pattern)
    return "".join(_PAIRS.get(token) or "".join("=" + character for character in literal_of(token)) for token in tokens)


def _compile(pattern: str, one: str, many: str, spell: Callable[[str], str]) -> re.Pattern[str]:
    """`one`, `many`: regexes of what `*` and `**` repeat; `spell`: makes a regex of a literal part.

    Users choose the paths of programs that they run, and a path must not make matching slow. So a star takes as little
    as it can, and is not tried again with more (`(?>...)`): a later star that takes as much can take the rest.
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
