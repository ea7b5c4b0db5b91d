"""What a terminal's encoding cannot say: of our own signs ASCII of the same width.

Python would write each as an escape of six columns, and push what stands behind it off the row.
"""

import sys

_ASCII = str.maketrans({"█": "#", "─": "-", "…": "~", "↑": "^", "↓": "v", "←": "<", "→": ">"})


def terminal_encoding() -> str:
    """That of the locale, or what PYTHONIOENCODING says."""
    return sys.__stderr__.encoding if sys.__stderr__ else "utf-8"


def fit_encoding(text: str, encoding: str) -> str:
    """The text, of unchanged length, with ASCII signs if ours can't be said."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII)
    return text


def fit_columns(text: str, encoding: str) -> str:
    """For the rows of a screen: other letters, too, of unchanged length, or the end of a path would be out of sight."""
    return fit_encoding(text, encoding).encode(encoding, "replace").decode(encoding)
