"""The names that hosts(5) gives to addresses: programs that read it ask no resolver.

Loopback and unspecified addresses are left out: they mean this machine, and no machine in lists of blocked names.
"""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import msgspec

from tinysnitch.core.model.domain import normalize_name
from tinysnitch.core.model.errors import Malformed, unless_short
from tinysnitch.core.model.flow import parse_address

HOSTS = Path("/etc/hosts")
MAX_BYTES = 64 << 20
MAX_NAMES = 65536  # 20 MB at most
# A list of blocked names may lead to one machine that answers for them all. A connection there is decided by the first
# name; to look through twenty thousand others took six seconds.
MAX_NAMES_OF_ADDRESS = 64


class Hosts(msgspec.Struct, frozen=True):
    names: Mapping[bytes, tuple[str, ...]] = {}  # packed address → its names, the first one first
    lost: int = 0  # names for which there was no room


def read_hosts(path: Path) -> Hosts:
    """No names when the file can't be read; a file of more than MAX_BYTES counts as one lost name.

    Reads exactly the size of the file: Python allocates as much as a read may bring.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            text = file.read(size) if size <= MAX_BYTES else None
    except OSError as error:
        return unless_short(error, Hosts())
    return Hosts(lost=1) if text is None else parse_hosts(text.decode(errors="replace"))


def parse_hosts(text: str) -> Hosts:
    """Lines without a valid address, and invalid names, are left out."""
    found: dict[bytes, dict[str, None]] = {}
    count = lost = 0
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        packed = _find_remote(address) if names else None
        if packed is None:
            continue
        known = found.setdefault(packed, {})
        for name in filter(None, map(_find_name, names)):
            if name in known:
                continue
            if count < MAX_NAMES and len(known) < MAX_NAMES_OF_ADDRESS:
                known[name] = None
                count += 1
            else:
                lost += 1
    return Hosts({address: tuple(names) for address, names in found.items() if names}, lost)


def _find_remote(address: str) -> bytes | None:
    """The packed address, None for one that means this machine or none."""
    try:
        packed = parse_address(address.partition("%")[0])
        parsed = ip_address(packed)
    except (Malformed, ValueError):
        return None
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return None if mapped.is_loopback or mapped.is_unspecified else packed


def _find_name(text: str) -> str | None:
    try:
        return normalize_name(text)
    except Malformed:
        return None
