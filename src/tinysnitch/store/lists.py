"""Lists of remotes, one file each: names, addresses, networks, hosts lines and adblock's ||name^."""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tinysnitch.core.domain import domains_of, normalize_name
from tinysnitch.core.errors import Malformed
from tinysnitch.core.flow import is_v4
from tinysnitch.core.network import ADDRESS_BITS, Network, parse_network
from tinysnitch.core.words import BadWord
from tinysnitch.store.text_file import errors_named, read_text

LISTS_FOLDER = Path("/etc/tinysnitch.d/lists")
_COMMENT = re.compile(r"(^|\s)#.*|^[!\[].*")  # adblock's comments begin with ! and its header with [
_ADBLOCK = re.compile(r"\|\|([^/^$*|]+)\^")
_ADDRESS = re.compile(r"[0-9.*/]+|[0-9a-fA-F:.]*:[0-9a-fA-F:./]*")
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "local", "broadcasthost", "0.0.0.0"})


class RemoteSet:
    """What a list holds. A name in it covers all names below."""

    def __init__(self, names: Iterable[str] = (), networks: Iterable[Network] = ()) -> None:
        self._names = frozenset(names)
        self._networks: dict[tuple[bool, int], set[int]] = {}  # by family and prefix length: the bits before it
        for network in networks:
            bits = network.base >> (ADDRESS_BITS - network.prefix)
            self._networks.setdefault((network.is_v4, network.prefix), set()).add(bits)

    def __len__(self) -> int:
        return len(self._names) + sum(map(len, self._networks.values()))

    def has_name(self, name: str) -> bool:
        return any(domain in self._names for domain in domains_of(name))

    def has_address(self, address: bytes) -> bool:
        bits, family = int.from_bytes(address), is_v4(address)
        return any(
            is_family == family and bits >> (ADDRESS_BITS - prefix) in found
            for (is_family, prefix), found in self._networks.items()
        )


class LoadedList(msgspec.Struct, frozen=True):
    remotes: RemoteSet
    bad_lines: int  # that are none of the known forms


def parse_list(text: str) -> LoadedList:
    names: set[str] = set()
    networks: set[Network] = set()
    bad_lines = 0
    for line in text.splitlines():
        words = _COMMENT.sub("", line).split()
        try:
            for word in _remotes_of(words):
                _sort_in(word, names, networks)
        except (BadWord, Malformed):
            bad_lines += 1
    return LoadedList(RemoteSet(names, networks), bad_lines)


def _remotes_of(words: list[str]) -> list[str]:
    """The remotes of a line: one word, or the names behind the address of a hosts line (hosts(5))."""
    if len(words) > 1:
        parse_network(words[0])
        return [word for word in words[1:] if word.lower() not in _LOCAL_NAMES and not word.startswith("ip6-")]
    adblock = _ADBLOCK.fullmatch(words[0]) if words else None
    return [adblock[1]] if adblock else words


def _sort_in(word: str, names: set[str], networks: set[Network]) -> None:
    if _ADDRESS.fullmatch(word):
        networks.add(parse_network(word))
    else:
        names.add(normalize_name(word.removeprefix("*.")))


def read_list(path: Path) -> LoadedList:
    with errors_named(path):
        return parse_list(read_text(path))


def read_lists(names: Iterable[str], folder: Path = LISTS_FOLDER) -> dict[str, LoadedList]:
    """The lists of these names that there are."""
    return {name: read_list(folder / name) for name in names if (folder / name).is_file()}
