"""The text of a list: names, addresses, networks, hosts lines and adblock's ||name^, one entry a line.

Lists hold garbage: a line of no known form is only counted, never an error.
"""

import re
from collections.abc import Iterable

import msgspec

from tinysnitch.core.model.domain import MAX_NAME_BYTES, USUAL_NAME, is_numbered, normalize_name
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.undecoded import BYTE_ORDER_MARK, bytes_of
from tinysnitch.core.rules.network import ADDRESS_BITS, Network, parse_network
from tinysnitch.core.rules.quoting import BadWord

SHOWN_BAD_LINES = 3
_SHOWN_CHARACTERS = 60
_HEADER_LINES = 10  # a list describes itself in its first lines

_COMMENT = re.compile(r"(?:^|\s)#.*|^[!\[].*", re.DOTALL)  # adblock's comments begin with ! and its header with [
_SOURCE = re.compile(r"#\s*source:\s*(\S+)\s*", re.IGNORECASE)
_ADBLOCK = re.compile(r"\|\|([^/^$*|]+)\^")
_ADDRESS = re.compile(r"[0-9.*/]+|[0-9a-fA-F:.]*:[0-9a-fA-F:./]*")
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "local", "broadcasthost", "0.0.0.0"})
# Nearly every line of a long list is a usual name, in one of these three forms: the quick way.
_PLAIN_LINE = re.compile(
    rf"(?:({USUAL_NAME})|(?:0\.0\.0\.0|127\.0\.0\.1)[ \t]+({USUAL_NAME})|\|\|({USUAL_NAME})\^)(?:[ \t\r]+(?:#.*)?)?",
    re.DOTALL,
)


class BadLine(msgspec.Struct, frozen=True):
    number: int  # from 1
    text: str  # its beginning, in printable ASCII


class ListContent(msgspec.Struct, frozen=True, kw_only=True):
    names: frozenset[str]  # each covers all names below it
    networks: frozenset[Network]  # an address is the smallest one
    bad_lines: int = 0
    bad_examples: tuple[BadLine, ...] = ()  # of the first bad lines

    @property
    def addresses(self) -> int:
        """How many of the networks are one address."""
        return sum(network.prefix == ADDRESS_BITS for network in self.networks)


def find_source(text: str) -> str | None:
    """Where the list can be fetched: the address in its first `# source:` line."""
    for line in text.removeprefix(BYTE_ORDER_MARK).split("\n", _HEADER_LINES)[:_HEADER_LINES]:
        if found := _SOURCE.fullmatch(line):
            return found[1]
    return None


def parse_list(text: str) -> ListContent:
    names: set[str] = set()
    networks: set[Network] = set()
    bad: list[BadLine] = []
    bad_lines = 0
    for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).split("\n"), 1):
        name = _find_plain_name(line)
        if name is not None:
            names.add(name)
        elif not _sort_line(line, names, networks):
            bad_lines += 1
            if len(bad) < SHOWN_BAD_LINES:
                bad.append(BadLine(number, _shorten(line)))
    return ListContent(
        names=frozenset(names), networks=frozenset(networks), bad_lines=bad_lines, bad_examples=tuple(bad)
    )


def _shorten(line: str) -> str:
    """The beginning of the line, with bytes that are not UTF-8 as \\xNN. Whoever shows it escapes other characters."""
    text = bytes_of(line.strip()[:_SHOWN_CHARACTERS])
    return text.decode("utf-8", "backslashreplace")


def _find_plain_name(line: str) -> str | None:
    """The name in a line of one of the usual forms; None: _sort_line has to look closer."""
    found = _PLAIN_LINE.fullmatch(line)
    if found is None or found.lastindex is None:
        return None
    name = found[found.lastindex]
    is_usual = len(name) <= MAX_NAME_BYTES and name not in _LOCAL_NAMES and not name.startswith("ip6-")
    return name if is_usual else None


def _sort_line(line: str, names: set[str], networks: set[Network]) -> bool:
    """Add what the line holds; False: it has none of the known forms."""
    try:
        for word in _remotes_of(_COMMENT.sub("", line).split()):
            _sort_word(word, names, networks)
    except (BadWord, Malformed):
        return False
    return True


def _remotes_of(words: list[str]) -> Iterable[str]:
    """The remotes in a line: one word, or the names behind the address of a hosts line (hosts(5))."""
    if len(words) > 1:
        parse_network(words[0].partition("%")[0])
        return [word for word in words[1:] if word.lower() not in _LOCAL_NAMES and not word.startswith("ip6-")]
    adblock = _ADBLOCK.fullmatch(words[0]) if words else None
    return [adblock[1]] if adblock else words


def _sort_word(word: str, names: set[str], networks: set[Network]) -> None:
    if _ADDRESS.fullmatch(word):
        networks.add(parse_network(word))
        return
    name = normalize_name(word.removeprefix("*."))
    if is_numbered(name):  # a range of addresses, say
        raise Malformed(f"{word} is no name")
    names.add(name)
