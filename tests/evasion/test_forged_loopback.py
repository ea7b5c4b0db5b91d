"""A machine of the link sends packets from 127.0.0.2, and no program here receives them.

The kernel itself would accept them where 127.0.0.0/8 is routed like any network (`route_localnet`, as for ports that
containers publish) and the way back is not checked (`rp_filter=0`).
"""

import subprocess
from collections.abc import Iterator

import pytest

from tests.evasion.stage import PYTHON
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, read_rest, write_line
from tests.lab.world import HOST4

pytestmark = [pytest.mark.privileged]

OURS, PORT, OTHER_PORT = "127.0.0.2", 7410, 7411
SYSCTLS = "cd /proc/sys/net/ipv4/conf; echo 1 | tee */route_localnet; echo 0 | tee */rp_filter"
# Prints what it receives; with `talk` only after a conversation with a socket at the loopback address, whose packets
# the forged one then imitates.
HEAR = f"""
import socket, sys
here, there = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _end in range(2))
here.bind(("{HOST4}", {PORT}))
there.bind(("{OURS}", {OTHER_PORT}))
if sys.argv[1] == "talk":
    there.sendto(b"question", here.getsockname())
    here.recv(100)
    here.sendto(b"answer", there.getsockname())
    there.recv(100)
print("ready", flush=True)
sys.stdin.readline()
there.sendto(b"no more", here.getsockname())
while (heard := here.recv(100)) != b"no more":
    print(heard.decode(), flush=True)
print("over", flush=True)
"""
FORGE = f"""
import socket, struct
ends = socket.inet_aton("{OURS}") + socket.inet_aton("{HOST4}")
datagram = struct.pack("!HHHH6s", {OTHER_PORT}, {PORT}, 8 + 6, 0, b"forged")
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, 17, 0) + ends + datagram, ("{HOST4}", 0))
"""


@pytest.fixture(scope="module")
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        for run in (made.run_outside, made.run_world):
            assert run(["sh", "-c", SYSCTLS]).returncode == 0
        yield made


@pytest.mark.parametrize(("flags", "words"), [([], "alone"), ([], "talk"), (["--no-bpf"], "alone")])
def test_a_packet_with_a_forged_loopback_source_is_not_heard(lab: Lab, flags: list[str], words: str) -> None:
    daemon = lab.start_daemon("allow localhost - -\nallow localhost - -src\n", *flags, timeout_s=0)
    hearing = lab.spawn([PYTHON, "-c", HEAR, words], stdin=subprocess.PIPE)
    assert read_line(hearing) == "ready\n"
    forged = lab.run_world([PYTHON, "-c", FORGE])
    assert forged.returncode == 0, forged.stderr
    write_line(hearing)
    assert read_rest(hearing) == "over\n"
    hearing.wait(timeout=WAIT_S)
    assert daemon.stop() == 0
