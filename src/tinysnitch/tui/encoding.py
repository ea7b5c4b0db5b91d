"""Replaces our own signs by ASCII of the same width, if the terminal's encoding lacks them.

Python would write each as an escape of six columns, and so push the rest of the row out of sight.
"""

import sys

_SIGNS = {"█": "#", "▌": "=", "─": "-", "…": "~", "↑": "^", "↓": "v", "←": "<", "→": ">", "▸": ">", "▾": "v"}
_HEIGHTS = dict(zip("▁▂▃▄▅▆▇", "_.-=+*%", strict=True))
_ASCII = str.maketrans(_SIGNS | _HEIGHTS)


def terminal_encoding() -> str:
    """The encoding of the locale, or that of PYTHONIOENCODING."""
    return sys.__stderr__.encoding if sys.__stderr__ else "utf-8"


def fit_encoding(text: str, encoding: str) -> str:
    """The text, of unchanged length, with ASCII signs if the encoding lacks ours."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII)
    return text


def fit_columns(text: str, encoding: str) -> str:
    """As fit_encoding(), for the rows of a screen: other characters that the encoding lacks become `?`, not longer
    escapes, which would push the end of a path out of sight."""
    return fit_encoding(text, encoding).encode(encoding, "replace").decode(encoding)
