"""Imports at the start what Python would import at its first use, in the loop.

Verdicts would wait then: 30 ms, and as long as somebody keeps a folder locked that it is in (kernel/bounded_reader.py).
"""

import codecs
import concurrent.futures.thread  # noqa: F401  of asyncio.to_thread()

from tinysnitch.core.domain import load_public_suffixes

_CODECS = ("idna", "punycode", "unicode_escape")


def import_the_rest() -> None:
    load_public_suffixes()
    for name in _CODECS:
        codecs.lookup(name)
