"""When a table of the BPF programs is full, the loss is counted and shown, and no program is named without proof."""

import sys
from collections.abc import Iterator

import pytest

from tests.lab.daemon import Record
from tests.lab.lab import Lab
from tests.lab.patience import read_line, wait_listening, wait_until
from tests.lab.test_tunnels import make_tunnel, make_tunnel_outside
from tests.lab.watched_lab import PYTHON, WatchedLab
from tests.lab.world import HOST4, PROGRAMS, WORLD4
from tinysnitch.kernel.bpf import layout

pytestmark = [pytest.mark.privileged]

CLIENT = str(PROGRAMS / "tcp_client.py")
SIZES = {
    "images": (8, layout.Image.FORMAT.size),
    "processes": (4, layout.ProcessEntry.FORMAT.size),
    "listeners": (layout.ListenerKey.FORMAT.size, layout.Listener.FORMAT.size),
}


@pytest.fixture
def named(_clean_machine: None) -> Iterator[WatchedLab]:
    """Only programs that a rule names may connect, or take a connection."""
    rules = f"allow - - tcp {CLIENT}\nallow - - tcp-src {PROGRAMS / 'receiver.py'}\n"
    with WatchedLab(rules, "--timeout", "0") as made:
        yield made


def fill(watched: WatchedLab, name: str) -> None:
    """Fill the table, and keep it full."""
    sizes = map(str, SIZES[name])
    filling = watched.lab.spawn_outside([sys.executable, str(PROGRAMS / "fill_map.py"), name, *sizes])
    assert read_line(filling) == "full\n"


def wait_lost(watched: WatchedLab, what: str) -> Record:
    record = watched.daemon.wait_for(lambda record: record["event"] == "lost" and what in record["what"])
    assert record["count"] > 0
    return record


@pytest.mark.parametrize("name", ["images", "processes"])
def test_a_program_that_found_no_room_is_unknown(named: WatchedLab, name: str) -> None:
    assert named.lab.run([PYTHON, CLIENT, WORLD4, "80"]).returncode == 0
    fill(named, name)
    # Each process of this machine that ends leaves room in the table; it is filled again a moment later.
    wait_until(lambda: named.lab.run([PYTHON, CLIENT, WORLD4, "80"]).returncode == 1)
    record = named.daemon.wait_connection(verdict="deny")
    assert (record["program"], record["pid"], record["attribution"]) == ("unknown", None, "unknown")
    lost = wait_lost(named, f"{name} not stored")
    status = named.daemon.cli("status").stdout
    assert lost["what"] in status
    assert "connections whose program is unknown" in status


def test_a_listener_that_found_no_room_is_found_all_the_same(named: WatchedLab) -> None:
    """User space finds it: sock_diag tells the socket, and /proc the process that holds it."""
    fill(named, "listeners")
    server = named.lab.spawn([PYTHON, str(PROGRAMS / "receiver.py"), "tcp", "0.0.0.0", "7400"])
    wait_listening(server)
    assert named.lab.run_world([PYTHON, CLIENT, HOST4, "7400"]).returncode == 0
    record = named.daemon.wait_connection(direction="inbound", local_port=7400)
    assert (record["pid"], record["verdict"]) == (server.pid, "allow")
    wait_lost(named, "listening ports not stored")


def test_the_loss_of_a_tunnels_port_is_told(named: WatchedLab) -> None:
    make_tunnel_outside(named.lab)
    fill(named, "listeners")
    make_tunnel(named.lab)
    named.lab.run([PYTHON, CLIENT, WORLD4, "80"])  # losses are looked at while there is traffic
    wait_lost(named, "listening ports not stored")


# Deletes the entries of a held datagram, as the kernel does once a table is full. Argument: its local port.
FORGET = f"""
import sys
from pathlib import Path
from tinysnitch.core.model.flow import UDP, Direction, Flow, parse_address
from tinysnitch.kernel.bpf.programs import key_of
from tinysnitch.kernel.bpf.layout import FlowEntry, FlowKey, Owner
from tinysnitch.kernel.bpf.libbpf import U64, Map
(folder,) = Path("/sys/fs/bpf").glob("tinysnitch-*/*/maps")
flows = Map(folder / "flows", FlowKey, FlowEntry)
local, remote = map(parse_address, ("{HOST4}", "{WORLD4}"))
released = Map(folder / "released", U64, Owner)
key = key_of(Flow(UDP, Direction.OUTBOUND, local, int(sys.argv[1]), remote, 7))
assert released.delete(flows.find(key).cookie) and flows.delete(key)
"""
DATAGRAM = ["bash", "-c", f"echo >/dev/udp/{WORLD4}/7"]


@pytest.mark.parametrize("answer", [("no", "once"), ("yes", "once"), ("yes", "forever")])
def test_what_was_answered_is_not_asked_about_again_as_unknown(answer: tuple[str, str], lab: Lab) -> None:
    """The program ended while its datagram was held, and what the tables held of it had to make room for others."""
    verdict, lasts = answer
    daemon = lab.start_daemon(f"allow {WORLD4} 53 udp\n")
    assert lab.run(DATAGRAM).returncode == 0
    ask = daemon.wait_ask(remote_port=7)
    forgotten = lab.run_outside([sys.executable, "-c", FORGET, str(ask["local_port"])])
    assert forgotten.returncode == 0, forgotten.stderr
    daemon.answer(ask, verdict, "--for", lasts)
    assert lab.run([*DATAGRAM[:2], DATAGRAM[2].replace("/7", "/9")]).returncode == 0
    daemon.wait_ask(remote_port=9)  # a second question about the first datagram would have come before this
    assert [each["program"] for each in daemon.records("ask")] == ["/usr/bin/bash", "/usr/bin/bash"]
    (decided,) = [each for each in daemon.records("connection") if each["direction"] == "outbound"]
    assert (decided["program"], decided["verdict"]) == ("/usr/bin/bash", "allow" if verdict == "yes" else "deny")
