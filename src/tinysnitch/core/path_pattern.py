r"""Patterns of paths: `*` is any text within one folder, `**` any text; `\*` and `\\` are the characters themselves."""

import re
from functools import lru_cache

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
    regexes = {"*": "[^/]*", "**": ".*"}
    tokens = pattern_tokens(pattern)
    return re.compile("".join(regexes.get(token) or re.escape(literal_of(token)) for token in tokens), re.DOTALL)


@lru_cache(maxsize=16384)
def covers_pattern(wide: str, narrow: str) -> bool:
    """Whether `narrow` is `wide` with something narrower in the place of its stars.

    A text is a row of pairs: =c for the character c, ** and ## for a star of one folder and of many.
    """
    return _covering_regex(wide).fullmatch(_pairs_of(narrow)) is not None


_COVERED_BY = {"*": r"(?:=[^/]|\*\*)*", "**": r"(?:=.|\*\*|##)*"}
_PAIRS = {"*": "**", "**": "##"}


@lru_cache(maxsize=4096)
def _covering_regex(pattern: str) -> re.Pattern[str]:
    tokens = pattern_tokens(pattern)
    return re.compile("".join(_COVERED_BY.get(token) or re.escape(_pairs_of(token)) for token in tokens), re.DOTALL)


def _pairs_of(pattern: str) -> str:
    tokens = pattern_tokens(pattern)
    return "".join(_PAIRS.get(token) or "".join("=" + character for character in literal_of(token)) for token in tokens)
