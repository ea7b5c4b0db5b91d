"""Domain names as text: one spelling, whole labels, and the registrable domain.

The spelling: lower case, no dot at the end, IDN as A-labels, and every byte of a label but letters, digits, hyphen and
underscore as `\\DDD` (RFC 4343 2.1). So a dot, star or space inside a label never looks like one with a meaning.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from tinysnitch.core.model.errors import Malformed

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

MAX_NAME_BYTES = 253  # RFC 1035 2.3.4: 255 on the wire, with the first length byte and the root's
MAX_LABEL_BYTES = 63
# The pattern of most names as they are written: several labels, in their one spelling, and nothing else can be meant.
USUAL_NAME = r"(?:[a-z0-9_-]{1,63}\.){1,126}[a-z_-][a-z0-9_-]{0,62}"
_TOO_LONG = f"name of more than {MAX_NAME_BYTES} bytes"
_WRITTEN_AS = 4  # characters at most that a byte of a name is written as: an escape, or a letter with three marks
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_TEXT_OF_BYTE = tuple(chr(byte).lower() if byte in _PLAIN else f"\\{byte:03d}" for byte in range(256))
_ASCII_LABEL = re.compile(r"(?:[a-zA-Z0-9_-]|\\[0-9]{3})+")
_ESCAPE = re.compile(r"\\([0-9]{3})")
# The ideographic, fullwidth and halfwidth full stops separate labels as well (RFC 3490 3.1).
_FULL_STOPS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61", "."))


def format_label(label: bytes) -> str:
    """The one spelling of a label as it is on the wire."""
    return "".join(map(_TEXT_OF_BYTE.__getitem__, label))


def normalize_name(text: str) -> str:
    """The one spelling of a name that a person or a file wrote; raises Malformed."""
    if len(text) > _WRITTEN_AS * (MAX_NAME_BYTES + 1):  # with a dot at the end
        raise Malformed(_TOO_LONG)
    labels = [_normalize_label(label) for label in text.translate(_FULL_STOPS).removesuffix(".").split(".")]
    name = ".".join(labels)
    if _count_bytes(name) > MAX_NAME_BYTES:
        raise Malformed(_TOO_LONG)
    return name


def is_within(name: str, domain: str) -> bool:
    """Whether the name is the domain or below it, label by label. Both in the one spelling."""
    return name == domain or name.endswith(f".{domain}")


def is_numbered(name: str) -> bool:
    """Whether the last label is a number, as of no top-level domain (RFC 3696 2): it is more likely an address."""
    return name.rpartition(".")[2].isdigit()


def domains_of(name: str) -> Iterator[str]:
    """The name and every domain above it: `a.b.c`, `b.c`, `c`."""
    yield name
    while dot := name.find(".") + 1:
        name = name[dot:]
        yield name


@lru_cache(maxsize=1024)  # a proposal looks at the names of all rules of a program
def find_registrable_domain(name: str) -> str | None:
    """What one owner registered (`www.bbc.co.uk` → `bbc.co.uk`); None for a public suffix itself."""
    return _public_suffixes().privatesuffix(name)


def is_public_suffix(name: str) -> bool:
    """Whether anybody may have a name below it (`com`, `co.uk`, `github.io`). A last label that is on no list, as of a
    network of one's own (`lan`, `corp`), is none."""
    if find_registrable_domain(name) is not None:
        return False
    from publicsuffixlist import PublicSuffixList

    return bool(PublicSuffixList(accept_unknown=False).is_public(name))


@cache
def _public_suffixes() -> "PublicSuffixList":
    # Loaded at the first use: it takes 1.2 MB and 28 ms, and a machine without prompts never needs it.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def _normalize_label(label: str) -> str:
    _check_length(len(label) // _WRITTEN_AS)
    text = _ascii_label(label) if label.isascii() else _international_label(label)
    _check_length(_count_bytes(text))
    return text


def _check_length(size: int) -> None:
    if size > MAX_LABEL_BYTES:
        raise Malformed(f"label of more than {MAX_LABEL_BYTES} bytes")


def _ascii_label(label: str) -> str:
    if not label:
        raise Malformed("empty label")
    if not _ASCII_LABEL.fullmatch(label):
        raise Malformed(f"{label!r} is not a label of a name")
    return _ESCAPE.sub(_canonical_escape, label).lower()


def _canonical_escape(match: re.Match[str]) -> str:
    byte = int(match[1])
    if byte > 255:
        raise Malformed(f"{match[0]} is not a byte")
    return _TEXT_OF_BYTE[byte]


def _international_label(label: str) -> str:
    """The A-label (RFC 5890), as browsers make it: mapped by NFKC in lower case, with the sharp s kept."""
    mapped = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).lower())
    if mapped.isascii():
        return _ascii_label(mapped)
    _check_length(len(mapped))  # now: the time that punycode takes grows with the square of that
    if any(not _is_international(char) for char in mapped):
        raise Malformed(f"{label!r} is not a label of a name")
    return "xn--" + mapped.encode("punycode").decode("ascii")


def _is_international(char: str) -> bool:
    """Letters, marks, digits and symbols: no control, surrogate, space or punctuation other than the hyphen."""
    return char == "-" or (unicodedata.category(char)[0] in "LMNS" and (not char.isascii() or char.isalnum()))


def _count_bytes(text: str) -> int:
    return len(text) - 3 * text.count("\\")
