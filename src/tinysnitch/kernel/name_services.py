"""Services that look names up for programs, over a local socket: no packet tells which program asked.

What they answer from their caches, or learn by encrypted DNS, is not seen at all.
"""

from pathlib import Path

from tinysnitch.core.errors import unless_short

NSSWITCH = Path("/etc/nsswitch.conf")  # nsswitch.conf(5)
NSCD_CONF = Path("/etc/nscd.conf")  # nscd.conf(5)
RESOLVED_SOCKET = Path("/run/systemd/resolve/io.systemd.Resolve")  # nss-resolve(8)
NSCD_SOCKET = Path("/run/nscd/socket")

_TOLD = "programs ask {} for names by a socket, so names may be wrong or missing: {}"
BY_RESOLVED = _TOLD.format("systemd-resolved", f"take `resolve` out of the line `hosts` in {NSSWITCH}")
BY_NSCD = _TOLD.format("nscd", f"let {NSCD_CONF} say `enable-cache hosts no`")


def find_name_services() -> list[str]:
    """Those that programs use here, each with what helps; a file that is not there counts for nothing."""
    found = []
    if RESOLVED_SOCKET.exists() and any("resolve" in words for words in _lines(NSSWITCH) if words[0] == "hosts:"):
        found.append(BY_RESOLVED)
    if NSCD_SOCKET.exists() and ["enable-cache", "hosts", "yes"] in _lines(NSCD_CONF):
        found.append(BY_NSCD)
    return found


def _lines(path: Path) -> list[list[str]]:
    """The words of each line that has some, without remarks."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        text = unless_short(error, "")
    return [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
