"""Connections without a name from a resolver: the name in their TLS hello or QUIC packet is read and logged, and a rule
that denies it ends them. It never allows anything.
"""

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, wait_until, write_line
from tests.lab.queue_counter import count_queued
from tests.lab.wakeups import stand_still
from tests.lab.world import ECHO_PORT, PROGRAMS, WORLD4, WORLD6, serves_quic

pytestmark = [pytest.mark.privileged]

PORT = 4443
CLIENT = str(PROGRAMS / "hello_client.py")
REFUSED = "ECONNRESET"
DENY = "deny *.ads.test - -\nallow - - -\n"
WHOLE = 1 << 20


class Talk:
    """A TLS server in the world, and one process that connects to it when the test says so, with the name it says."""

    def __init__(self, lab: Lab, *words: str) -> None:
        self.lab = lab
        certificate = lab.folder / "world" / "tls.pem"
        command = ["/usr/bin/python3", str(PROGRAMS / "hello_server.py"), str(PORT), str(certificate)]
        self._server = lab.spawn_world(command)
        self._client = lab.spawn(["/usr/bin/python3", CLIENT, *words], stdin=subprocess.PIPE)
        self._heard = ""
        assert self.hear() == ["listening"]

    def hear(self, count: int = 1) -> list[str]:
        """Wait for the next `count` lines of the server: the names that it was told."""
        assert self._server.stdout
        while self._heard.count("\n") < count:
            assert select.select([self._server.stdout], [], [], WAIT_S)[0]
            self._heard += os.read(self._server.stdout.fileno(), 4096).decode()
        heard, self._heard = self._heard.splitlines(), ""
        return heard

    def start(self, name: str, size: int = WHOLE, address: str = WORLD4) -> None:
        write_line(self._client, f"{address} {PORT} {name} {size}")

    def has_result(self, timeout_s: float) -> bool:
        return bool(select.select([self._client.stdout], [], [], timeout_s)[0])

    def result(self) -> str:
        assert self.has_result(WAIT_S)
        return read_line(self._client).strip()

    def say(self, name: str, size: int = WHOLE, address: str = WORLD4) -> str:
        self.start(name, size, address)
        return self.result()


@pytest.fixture
def talk(lab: Lab) -> Talk:
    return Talk(lab)


def wait_denial(daemon: Daemon, name: str = "www.ads.test", **fields: object) -> None:
    told = daemon.wait_connection(verdict="deny", name=name, **fields)
    assert told["reason"] == "denied by a rule, by the name that the program itself says"


def count_allowed(daemon: Daemon) -> int:
    return len([one for one in daemon.records("connection") if one["verdict"] == "allow"])


@pytest.mark.core_lab
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_denied_name_ends_the_connection_before_the_server_hears_it(talk: Talk, address: str) -> None:
    daemon = talk.lab.start_daemon(DENY)
    assert talk.say("www.ads.test", address=address) == REFUSED
    wait_denial(daemon, rule="deny *.ads.test - -", program=CLIENT, remote_address=address, remote_port=PORT)
    assert talk.say("shop.test", address=address) == "answered"
    daemon.wait_for(lambda record: record["event"] == "said" and record["name"] == "shop.test")
    judged = count_allowed(daemon)
    assert talk.say("www.ads.test", address=address) == REFUSED  # the kernel allowed its SYN by itself
    assert talk.say("bank.test", address=address) == "answered"
    assert talk.hear(2) == ["shop.test", "bank.test"]
    daemon.wait_for(lambda record: record["event"] == "said" and record["name"] == "bank.test")
    assert count_allowed(daemon) == judged


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_what_is_said_over_multipath_tcp_is_read(lab: Lab, address: str) -> None:
    """With MPTCP a socket that the kernel made sends the data."""
    talk = Talk(lab, "mptcp")
    daemon = lab.start_daemon(DENY)
    assert talk.say("shop.test", address=address) == "answered"
    daemon.wait_for(lambda record: record["event"] == "said" and record["name"] == "shop.test")
    assert talk.say("www.ads.test", address=address) == REFUSED
    wait_denial(daemon, program=CLIENT)
    assert talk.hear() == ["shop.test"]


RECONNECT = """
import ctypes, sys
sys.path.insert(0, {programs!r})
from hello_client import connect, make_hello, socket, talk
for port in (80, {port}):
    connect({world!r}, port).close()  # from now on the kernel allows SYNs there by itself
print("ready", flush=True)
sys.stdin.readline()
client = connect({world!r}, 80)
client.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
ctypes.CDLL(None).connect(client.fileno(), bytes(16), 16)  # AF_UNSPEC
client.connect(({world!r}, {port}))
print("connected", flush=True)
sys.stdin.readline()
try:
    print(talk(client, make_hello("www.ads.test"), 1 << 20))
except ConnectionResetError:
    print({refused!r})
"""


def test_data_of_a_sockets_earlier_connection_that_is_read_late_does_not_count_for_the_next(talk: Talk) -> None:
    """Otherwise the next connection would count as read, and the denied name in it would pass."""
    daemon = talk.lab.start_daemon(DENY)
    script = RECONNECT.format(programs=str(PROGRAMS), world=WORLD4, port=PORT, refused=REFUSED)
    client = talk.lab.spawn(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE)
    assert read_line(client) == "ready\n"
    stand_still(daemon.process.pid)
    write_line(client, "go")
    assert read_line(client) == "connected\n"
    daemon.process.send_signal(signal.SIGCONT)
    assert daemon.cli("status").returncode == 0  # the daemon reads its queues before it answers a client
    write_line(client, "go")
    assert read_line(client) == f"{REFUSED}\n"
    wait_denial(daemon)


# 1538: the server accepts data with a SYN, also without a cookie (Documentation/networking/ip-sysctl.rst)
@pytest.mark.parametrize("fast_open", [0, 1538])
def test_what_a_socket_begins_to_say_with_its_syn_is_read(lab: Lab, fast_open: int) -> None:
    """Also when an earlier connection of the same process was read to its end."""
    lab.run_world(["sysctl", "-qw", f"net.ipv4.tcp_fastopen={fast_open}"])
    talk = Talk(lab, "fast_open")
    daemon = lab.start_daemon(DENY)
    for name in ("shop.test", "bank.test"):
        assert talk.say(name, 700) == "answered"
        daemon.wait_for(lambda record, name=name: record["event"] == "said" and record["name"] == name)
    assert talk.say("www.ads.test", 700) == REFUSED
    wait_denial(daemon)
    assert talk.say("shop.test", 700) == "answered"
    assert talk.hear(3) == ["shop.test", "bank.test", "shop.test"]


def test_what_says_no_name_with_its_syn_goes_on(lab: Lab) -> None:
    lab.start_daemon(DENY)
    script = (
        "import socket\n"
        "client = socket.socket()\n"
        "client.setsockopt(socket.IPPROTO_TCP, 34, 1)\n"  # TCP_FASTOPEN_NO_COOKIE
        f"client.sendto(b'GET / HTTP/1.0\\r\\n\\r\\n', 0x20000000, ('{WORLD4}', 80))\n"  # MSG_FASTOPEN
        "print(client.recv(4))\n"
    )
    assert lab.run(["/usr/bin/python3", "-c", script]).stdout == "b'HTTP'\n"


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 700])
def test_a_name_in_small_segments_is_read(talk: Talk, size: int) -> None:
    daemon = talk.lab.start_daemon(DENY)
    assert talk.say("shop.test", size) == "answered"
    assert talk.say("www.ads.test", size) == REFUSED
    wait_denial(daemon)
    assert talk.hear() == ["shop.test"]


def test_a_list_denies_what_is_said(talk: Talk) -> None:
    lists = talk.lab.folder / "lists"
    lists.mkdir()
    (lists / "ads").write_text("0.0.0.0 ads.test\n")
    daemon = talk.lab.start_daemon("deny @ads - -\nallow - - -\n", "--lists", str(lists))
    assert talk.say("www.ads.test") == REFUSED
    wait_denial(daemon, rule="deny @ads - -")


def test_curl_with_a_name_of_its_own(lab: Lab) -> None:
    lab.start_daemon("deny ads.test - -\nallow - - -\n")

    def get(name: str) -> subprocess.CompletedProcess[str]:
        return lab.run(["curl", "-sSk", "--resolve", f"{name}:443:{WORLD4}", f"https://{name}/"])

    assert get("shop.test").stdout == "welcome to the shop\n"
    assert get("ads.test").returncode in (35, 56)
    assert lab.run(["curl", "-sSk", f"https://{WORLD4}/"]).stdout == "welcome to the shop\n"
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).stdout == "welcome to the shop\n"


def test_a_name_that_is_said_opens_nothing(talk: Talk) -> None:
    talk.lab.start_daemon("allow www.ads.test - -\ndeny - - -\n")
    assert talk.say("www.ads.test") == "ECONNREFUSED"


def test_where_no_rule_can_deny_a_name_only_the_first_connection_is_read(talk: Talk) -> None:
    """It is read for the log alone. Later ones are allowed by the kernel and not queued."""
    daemon = talk.lab.start_daemon("allow - - -\n")
    assert talk.say("www.ads.test") == "answered"
    said = daemon.wait_for(lambda record: record["event"] == "said")
    assert (said["name"], said["remote_address"], said["rule"]) == ("www.ads.test", WORLD4, "allow - - -")
    queued = count_queued(talk.lab)
    assert talk.say("www.ads.test") == "answered"
    assert count_queued(talk.lab) == queued
    assert "www.ads.test" in daemon.cli("log").stdout


def test_while_no_daemon_runs_a_hello_waits_where_a_rule_may_deny_its_name(talk: Talk) -> None:
    daemon = talk.lab.start_daemon(DENY)
    assert talk.say("shop.test") == "answered"
    daemon.kill()
    talk.start("www.ads.test")
    assert not talk.has_result(1.0)
    successor = talk.lab.restart_daemon(daemon.rules.parent)
    assert talk.result() == REFUSED
    wait_denial(successor)
    assert talk.hear() == ["shop.test"]


def test_while_no_daemon_runs_a_hello_passes_where_no_rule_can_deny_its_name(talk: Talk) -> None:
    daemon = talk.lab.start_daemon("allow - - -\n")
    sink = ["/usr/bin/python3", str(PROGRAMS / "tcp_client.py"), WORLD4, str(PORT)]
    assert talk.lab.run(sink).stdout == "connected\n"
    assert talk.say("shop.test") == "answered"
    daemon.kill()
    assert talk.say("bank.test") == "answered"


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_name_said_in_quic_is_denied_or_told(lab: Lab, address: str) -> None:
    if not serves_quic():
        pytest.skip("nginx is too old for HTTP/3")
    daemon = lab.start_daemon("deny ads.test - -\nallow - - -\n")

    def get(name: str) -> subprocess.CompletedProcess[str]:
        resolve = ["--resolve", f"{name}:444:{address}"]
        return lab.run(["curl", "-sSk", "--http3-only", *resolve, f"https://{name}:444/"])

    assert get("ads.test").returncode != 0
    wait_denial(daemon, name="ads.test", protocol="udp", remote_address=address, remote_port=444)
    assert get("shop.test").stdout == "welcome to the shop\n"
    daemon.wait_for(lambda record: record["event"] == "said" and record["name"] == "shop.test")
    served = lab.folder / "world" / "quic.log"
    wait_until(served.read_text)
    assert served.read_text() == f"shop.test {address}\n"


def test_a_datagram_that_says_no_name_comes_to_user_space_once(lab: Lab) -> None:
    daemon = lab.start_daemon(DENY)
    for flow in range(1, 3):
        queued = count_queued(lab)
        sent = lab.run(["/usr/bin/python3", str(PROGRAMS / "udp_client.py"), WORLD4, str(ECHO_PORT)])
        assert sent.stdout == "echo ping\n"
        daemon.wait_for_count(lambda record: record.get("remote_port") == ECHO_PORT, flow)
        assert count_queued(lab) - queued == 1


def test_a_client_that_gave_up_before_the_answer_counts_as_no_loss(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    assert lab.run(["curl", "-sS", "--max-time", "1", f"http://{WORLD4}/"]).returncode != 0
    daemon.answer(daemon.wait_ask(remote_port=80), "yes")
    daemon.wait_connection(verdict="allow", remote_port=80)
    assert "not read" not in daemon.cli("status").stdout


def test_the_mark_of_a_packet_survives_its_reading_and_ours_does_not(lab: Lab, tmp_path: Path) -> None:
    lab.start_daemon(DENY)
    rule = "iptables -t mangle -A OUTPUT -p tcp -m mark ! --mark 0x1234 -j DROP"
    assert lab.run_outside(rule.split()).returncode == 0
    script = tmp_path / "marked.py"
    script.write_text(
        "import socket\n"
        "client = socket.socket()\n"
        "client.setsockopt(socket.SOL_SOCKET, 36, 0x1234)\n"
        f"client.connect(('{WORLD4}', 80))\n"
        "client.send(b'\\x16\\x03')\n"
        "client.send(b'x')\n"
        "client.recv(1)\n"
        "print('answered')\n"
    )
    assert lab.run(["/usr/bin/python3", str(script)]).stdout == "answered\n"
