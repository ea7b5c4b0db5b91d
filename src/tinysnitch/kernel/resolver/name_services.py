"""Finds services that look names up for programs over a local socket: no packet tells which program asked.

What they answer from their caches, or learn by encrypted DNS, is in no packet either; systemd-resolved tells it
(resolved_monitor.py).
"""

import re
from pathlib import Path

from tinysnitch.core.model.errors import unless_short
from tinysnitch.kernel.resolver.resolved_monitor import RESOLVED_MONITOR

NSSWITCH = Path("/etc/nsswitch.conf")  # nsswitch.conf(5)
NSCD_CONF = Path("/etc/nscd.conf")  # nscd.conf(5)
RESOLVED_SOCKET = Path("/run/systemd/resolve/io.systemd.Resolve")  # nss-resolve(8)
NSCD_SOCKET = Path("/run/nscd/socket")

_NSSWITCH_SEPARATORS = re.compile(r"[\s:\[\]]+")

_TOLD = "programs ask {} for names by a socket, so {}: {}"
_MISSING = "names may be wrong or missing"
_WITHOUT_RESOLVED = f"take `resolve` out of the line `hosts` in {NSSWITCH}"
BY_RESOLVED = _TOLD.format(
    "systemd-resolved", "which of them asked is not known, and the newest question decides", _WITHOUT_RESOLVED
)
BY_OLD_RESOLVED = _TOLD.format("systemd-resolved", _MISSING, _WITHOUT_RESOLVED)  # before 251: it tells nothing
BY_NSCD = _TOLD.format("nscd", _MISSING, f"let {NSCD_CONF} say `enable-cache hosts no`")


def find_name_services() -> list[str]:
    """A sentence for each that programs of this machine use, with what to do about it."""
    found = []
    if is_resolved_asked():
        found.append(BY_RESOLVED if RESOLVED_MONITOR.exists() else BY_OLD_RESOLVED)
    if NSCD_SOCKET.exists() and ["enable-cache", "hosts", "yes"] in _lines(NSCD_CONF):
        found.append(BY_NSCD)
    return found


def is_resolved_asked() -> bool:
    return RESOLVED_SOCKET.exists() and any(map(_asks_resolved, _lines(NSSWITCH)))


def _asks_resolved(words: list[str]) -> bool:
    """A line of nsswitch.conf(5). glibc wants no blanks around the colon, nor before an action in brackets."""
    database, *services = _NSSWITCH_SEPARATORS.split(" ".join(words))
    return database == "hosts" and "resolve" in services


def _lines(path: Path) -> list[list[str]]:
    """The words of each line that is not empty, without remarks; no lines when the file can't be read."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        text = unless_short(error, "")
    return [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
