"""Imports at the start what Python would import at its first use, in the loop.

Verdicts would wait then, for as long as somebody keeps a folder locked that it is in (kernel/system/bounded_reader.py).
"""

import codecs
import concurrent.futures.thread  # noqa: F401  of asyncio.to_thread()
from typing import BinaryIO

import publicsuffixlist

_CODECS = ("idna", "punycode", "unicode_escape")
_kept_open: list[BinaryIO] = []


def import_the_rest() -> None:
    """Also opens the list of public suffixes. That is read at its first use (core/model/domain.py): what is made of it
    takes 1.2 MB, and the reading 28 ms, once. While a file is open, its path is walked without a folder's lock
    (rcu-walk, Documentation/filesystems/path-lookup.rst)."""
    for name in _CODECS:
        codecs.lookup(name)
    _kept_open.append(open(publicsuffixlist.PSLFILE, "rb"))  # noqa: SIM115 - until the daemon ends
