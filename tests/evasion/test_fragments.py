"""Fragments made by hand: only the first one has the ports, but each of them carries data."""

import json
from collections.abc import Iterator

import pytest

from tests.evasion.stage import PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until
from tests.lab.world import HOST4, HOST6, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

PING = "/usr/bin/ping"
OPEN, CLOSED, LAST = 7500, 7501, 7502
RULES = f"""\
allow lan {OPEN} udp-src
deny lan {CLOSED} udp-src
allow lan {LAST} udp-src
allow lan {OPEN} udp
allow lan {LAST} udp
allow {WORLD6} - icmp
deny {WORLD6} - icmp-src
"""
# Prints what comes to each port, until something comes to the last one.
HEAR = f"""
import select, socket
ports = ({OPEN}, {CLOSED}, {LAST})
ends = {{socket.socket(socket.AF_INET6, socket.SOCK_DGRAM): port for port in ports}}
for end, port in ends.items():
    end.bind(("::", port))
print("ready", flush=True)
heard = set()
while {LAST} not in heard:
    for end in select.select(ends, [], [])[0]:
        heard.add(ends[end])
        print(ends[end], end.recv(100).decode(), flush=True)
"""
# Sends the fragments of one datagram. Of each: its offset, whether more follow, the port (0: no UDP header), the text.
SEND = f"""
import json, socket, struct, sys
source, remote, pieces = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
family = socket.AF_INET6 if ":" in remote else socket.AF_INET
addresses = b"".join(socket.inet_pton(family, address) for address in (source, remote))
raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)

def make_header(port):
    fields = (4000, port, 8 + 16)
    words = (*fields, 17, 8 + 16, *struct.unpack(f"!{{len(addresses) // 2 + 8}}H", addresses + b"a" * 8 + b"b" * 8))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!HHHH", *fields, ~total & 0xFFFF)

for place, more, port, text in pieces:
    data = (make_header(port) if port else b"") + text.encode()
    if family == socket.AF_INET:
        packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 7, more << 13 | place // 8, 64, 17, 0)
        packet += addresses + data
    else:
        packet = struct.pack("!IHBB", 6 << 28, 8 + len(data), 44, 64) + addresses
        packet += struct.pack("!BBHI", 17, 0, place | more, 7) + data
    raw.sendto(packet, (remote, 0))
socket.socket(family, socket.SOCK_DGRAM).sendto(b"over", (remote, {LAST}))
"""
FIRST, OTHER_FIRST, REST = (0, 1, OPEN, "a" * 8), (0, 1, CLOSED, "a" * 8), (16, 0, 0, "b" * 8)
WHOLE, OVER = f"{OPEN} {'a' * 8}{'b' * 8}\n", f"{LAST} over\n"


@pytest.fixture(scope="module")
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def _daemon(lab: Lab) -> Daemon:
    return lab.start_daemon(RULES, timeout_s=0)


@pytest.mark.parametrize(
    ("pieces", "heard"),
    [
        ([FIRST, REST], WHOLE),
        ([REST, FIRST], WHOLE),
        ([OTHER_FIRST, REST], ""),
        ([FIRST, OTHER_FIRST, REST], WHOLE),
        ([OTHER_FIRST, REST, FIRST], WHOLE),
    ],
)
def test_what_comes_in_is_judged_by_the_piece_that_has_the_ports(
    lab: Lab, pieces: list[tuple[int, int, int, str]], heard: str
) -> None:
    """Of IPv6: an IPv4 datagram is put together again before netfilter sees it."""
    hearing = lab.spawn([PYTHON, "-c", HEAR])
    read_until(hearing, lambda said: said)
    sent = lab.run_world([PYTHON, "-c", SEND, WORLD6, HOST6, json.dumps(pieces)])
    assert sent.returncode == 0, sent.stderr
    assert hearing.communicate(timeout=WAIT_S)[0] == heard + OVER


def test_what_is_behind_the_first_piece_is_not_taken_for_what_was_denied(lab: Lab) -> None:
    """A later fragment has no port or ICMP type, only protocol and addresses: here those of a ping that was denied."""
    assert lab.run_world([PING, "-c", "1", "-W", "1", HOST6]).returncode != 0
    for size in ("100", "4000"):
        asked = lab.run([PING, "-c", "1", "-W", "60", "-s", size, WORLD6])
        assert asked.returncode == 0, asked.stdout


@pytest.mark.parametrize(("source", "remote"), [(HOST4, WORLD4), (HOST6, WORLD6)])
def test_what_a_raw_socket_sends_does_not_leave_behind_a_piece_that_is_allowed(
    lab: Lab, source: str, remote: str
) -> None:
    hearing = lab.spawn_world([PYTHON, "-c", HEAR])
    read_until(hearing, lambda said: said)
    sent = lab.run([PYTHON, "-c", SEND, source, remote, json.dumps([FIRST, REST])])
    assert sent.returncode == 0, sent.stderr
    assert hearing.communicate(timeout=WAIT_S)[0] == OVER
