"""MPTCP binds, connects and resets by sockets that the kernel makes: the program's own socket tells whose they are."""

import subprocess

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, read_rest, wait_listening
from tests.lab.world import HOST4, MORE_WORLD4, WORLD4

pytestmark = [pytest.mark.privileged]

HONEST = "/usr/bin/cat"
# Starts the honest program with its socket, keeps that at a descriptor too high to be searched, and connects twice.
BEGIN_ANEW = """
import ctypes, fcntl, resource, socket, subprocess, sys
remote = sys.argv[1], int(sys.argv[2])
used = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
used.bind(("", 0))
used.set_inheritable(True)
heir = subprocess.Popen([sys.argv[3]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
heir.stdin.write(b"runs")
heir.stdin.flush()
heir.stdout.read(4)
resource.setrlimit(resource.RLIMIT_NOFILE, (2100, 2100))
high = fcntl.fcntl(used.fileno(), fcntl.F_DUPFD, 2000)
used.close()
used = socket.socket(fileno=high)
used.settimeout(5)
print(used.connect_ex(remote))
ctypes.CDLL(None).connect(high, bytes(16), 16)  # AF_UNSPEC: disconnects and unbinds it
used.bind(("", 0))
print(used.connect_ex(remote))
heir.kill()
"""
# Connects, and gives up at once.
GIVE_UP = """
import socket, sys
used = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
used.setblocking(False)
used.connect_ex((sys.argv[1], int(sys.argv[2])))
try:
    used.shutdown(socket.SHUT_RDWR)
except OSError:  # it is refused already
    pass
"""
# Connects to one port, then to another one instead, and gives up when its stdin is closed.
TURN = """
import ctypes, socket, sys
used = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
used.setblocking(False)
used.connect_ex((sys.argv[1], int(sys.argv[2])))
ctypes.CDLL(None).connect(used.fileno(), bytes(16), 16)  # AF_UNSPEC
used.connect_ex((sys.argv[1], int(sys.argv[3])))
sys.stdin.read()
used.shutdown(socket.SHUT_RDWR)
"""
# Prints the port of each TCP segment that comes, up to the given one.
HEAR = """
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
print("ready", flush=True)
port = 0
while port != int(sys.argv[1]):
    packet = raw.recv(100)
    port = struct.unpack_from("!H", packet, (packet[0] & 15) * 4 + 2)[0]
    print(port, flush=True)
"""
# Listens on a port that the kernel chooses where no hook runs.
LISTEN = """
import socket
used = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
used.listen()
print(used.getsockname()[1], flush=True)
used.accept()
"""
# Starts a program with each connection that comes: with MPTCP these have the cookie of the listening socket.
SERVE = """
import socket, subprocess, sys
used = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
used.bind(("", int(sys.argv[1])))
used.listen()
print("listening", flush=True)
while True:
    visitor = used.accept()[0]
    assert visitor.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_MPTCP
    servant = subprocess.Popen([sys.argv[2]], stdin=visitor, stdout=visitor)
    if sys.argv[3] == "close":
        visitor.close()
        servant.wait()
    print("served", flush=True)
"""
COME = """
import socket, sys
comes = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
comes.bind((sys.argv[1], 0))
comes.connect((sys.argv[2], int(sys.argv[3])))
comes.send(b"x")
assert comes.recv(1) == b"x"
"""
REFUSED, EARLIER, SERVED = 7600, 7601, 7602
LAST = 53  # read like DNS messages: it overtakes nothing that is read


def test_a_listener_whose_port_no_hook_has_told_is_not_the_kernel(lab: Lab) -> None:
    daemon = lab.start_daemon("allow - - -src kernel\n", timeout_s=0)
    server = lab.spawn([PYTHON, "-c", LISTEN], user=ATTACKER)
    port = read_line(server).strip()
    lab.run_world(["bash", "-c", f"exec 3<>/dev/tcp/{HOST4}/{port}"])
    record = daemon.wait_connection(direction="inbound", local_port=int(port))
    assert (record["verdict"], record["pid"], record["attribution"]) == ("deny", server.pid, "bpf")


def test_a_second_connection_by_the_socket_that_the_honest_program_was_given(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow - - tcp {HONEST}\n", timeout_s=0)
    evil = lab.run([PYTHON, "-c", BEGIN_ANEW, WORLD4, "80", HONEST], user=ATTACKER)
    assert evil.returncode == 0, evil.stderr
    assert "0" not in evil.stdout.split()
    assert {record["verdict"] for record in daemon.wait_connections(2)} == {"deny"}


@pytest.mark.parametrize("verdict", ["ask", "deny"])
def test_what_is_not_let_go_is_not_reset(lab: Lab, verdict: str) -> None:
    """The reset would go to a remote that nobody has allowed, with ports that the program chose."""
    daemon = lab.start_daemon(f"allow - {LAST} tcp\n{verdict} - {REFUSED} tcp\n")
    hearing = lab.spawn_world([PYTHON, "-c", HEAR, str(LAST)])
    assert read_line(hearing) == "ready\n"
    evil = lab.run([PYTHON, "-c", GIVE_UP, WORLD4, str(REFUSED)], user=ATTACKER)
    assert evil.returncode == 0, evil.stderr
    daemon.wait_for(lambda record: record.get("remote_port") == REFUSED)
    lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/{LAST}"])
    assert set(read_rest(hearing).split()) == {str(LAST)}


def test_a_reset_is_not_let_go_with_an_earlier_syn(lab: Lab) -> None:
    """The SYN was held when its socket connected to another port. It is allowed then; the reset is for the new one."""
    daemon = lab.start_daemon(f"allow - {LAST} tcp\n")
    hearing = lab.spawn_world([PYTHON, "-c", HEAR, str(LAST)])
    assert read_line(hearing) == "ready\n"
    evil = lab.spawn([PYTHON, "-c", TURN, WORLD4, str(EARLIER), str(REFUSED)], user=ATTACKER, stdin=subprocess.PIPE)
    assert evil.stdin
    earlier = daemon.wait_ask(remote_port=EARLIER)
    daemon.wait_ask(remote_port=REFUSED)
    daemon.answer(earlier, "yes", "--for", "once")
    assert read_line(hearing) == f"{EARLIER}\n"
    evil.stdin.close()
    evil.wait(timeout=WAIT_S)
    lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/{LAST}"])
    assert str(REFUSED) not in read_rest(hearing).split()


@pytest.mark.parametrize("way", ["close", "keep"])
def test_a_listener_stays_known_whatever_becomes_of_its_connections(lab: Lab, way: str) -> None:
    """A connection is closed, or another program goes on with it."""
    program = lab.folder / "serve.py"
    program.write_text(SERVE)
    remotes = (WORLD4, MORE_WORLD4[0])  # each by a rule of its own, so that each is decided and logged
    daemon = lab.start_daemon("".join(f"allow {remote} - -src\n" for remote in remotes))
    server = lab.spawn([PYTHON, str(program), str(SERVED), HONEST, way])
    wait_listening(server)
    for remote in remotes:
        come = lab.spawn_world([PYTHON, "-c", COME, remote, HOST4, str(SERVED)])
        record = daemon.wait_connection(direction="inbound", remote_address=remote)
        assert (record["program"], record["pid"], record["attribution"]) == (str(program), server.pid, "bpf")
        assert read_line(server) == "served\n"
        assert come.wait(timeout=WAIT_S) == 0
