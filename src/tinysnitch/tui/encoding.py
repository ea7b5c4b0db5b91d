"""What a terminal's encoding cannot say of our own signs, in ASCII of the same width.

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
