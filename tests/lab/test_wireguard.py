"""WireGuard, as wg-quick(8) sets it up with all routes into the tunnel: with marks and netfilter rules of its own.

Kernels of development machines may lack WireGuard; `make test-kernel` runs one that has it.
"""

import subprocess
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE, WAIT_S
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]

PORT, LATER_PORT = 51820, 51821
OUTSIDE, INSIDE = "10.99.0.1", "10.99.0.2"
OUTER = f"allow {WORLD4} {PORT} udp kernel\n"
INNER = f"allow {OUTSIDE} 80 tcp /usr/bin/curl\n"
CURL = ["curl", "-sS", "--max-time", str(30 * PATIENCE)]
NOT_CONNECTED = 7  # curl(1)
_PEER = """
ip link add peer type wireguard
wg setconf peer "$0"
ip addr add {outside}/24 dev peer
ip link set peer up
"""


def make_key() -> tuple[str, str]:
    secret = subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout
    return secret, subprocess.run(["wg", "pubkey"], input=secret, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def config(lab: Lab) -> Path:
    """wg-quick's configuration for the host's end of the tunnel; the other end, in the world, is up."""
    (secret, public), (peers_secret, peers_public) = make_key(), make_key()
    peer, host = lab.folder / "peer.conf", lab.folder / "tunnel.conf"
    for path in (peer, host):
        path.touch(0o600)
    peer.write_text(
        f"[Interface]\nPrivateKey = {peers_secret}ListenPort = {PORT}\n"
        f"[Peer]\nPublicKey = {public}AllowedIPs = {INSIDE}/32\n"
    )
    host.write_text(
        f"[Interface]\nPrivateKey = {secret}Address = {INSIDE}/24\n"
        f"[Peer]\nPublicKey = {peers_public}AllowedIPs = 0.0.0.0/0\nEndpoint = {WORLD4}:{PORT}\n"
    )
    made = lab.run_world(["sh", "-ec", _PEER.format(outside=OUTSIDE), str(peer)])
    if "Unknown device type" in made.stderr or "not supported" in made.stderr:
        pytest.skip("this kernel has no WireGuard")
    assert made.stderr == ""
    return host


def bring_up(lab: Lab, config: Path) -> None:
    done = lab.run(["wg-quick", "up", str(config)])
    assert done.returncode == 0, done.stderr


def told(daemon: Daemon) -> set[tuple[object, ...]]:
    return {
        (record["direction"], record["remote_address"], record["remote_port"], record["program"], record["verdict"])
        for record in daemon.stop_and_tell("connection")
    }


@pytest.mark.core_lab
@pytest.mark.parametrize("is_up_before", [False, True])
def test_the_tunnel_is_the_kernels_and_what_is_in_it_the_programs(lab: Lab, config: Path, is_up_before: bool) -> None:
    if is_up_before:
        bring_up(lab, config)
    daemon = lab.start_daemon(OUTER + INNER, timeout_s=0)
    if not is_up_before:
        bring_up(lab, config)
    assert lab.run([*CURL, f"http://{OUTSIDE}/"]).returncode == 0, daemon.describe()
    assert lab.run([*CURL, f"http://{OUTSIDE}:8080/"]).returncode == NOT_CONNECTED
    assert told(daemon) == {
        ("outbound", WORLD4, PORT, "kernel", "allow"),
        ("outbound", OUTSIDE, 80, "/usr/bin/curl", "allow"),
        ("outbound", OUTSIDE, 8080, "/usr/bin/curl", "deny"),
    }


def test_what_is_in_the_tunnel_and_the_tunnel_itself_are_both_asked_about(lab: Lab, config: Path) -> None:
    daemon = lab.start_daemon("")
    bring_up(lab, config)
    client = lab.spawn([*CURL, f"http://{OUTSIDE}/"])
    for remote, program in ((OUTSIDE, "/usr/bin/curl"), (WORLD4, "kernel")):
        daemon.answer(daemon.wait_ask(remote_address=remote, program=program), "yes")
    assert client.communicate(timeout=WAIT_S)[0] == "welcome to the shop\n", daemon.describe()
    assert len(daemon.records("ask")) == 2


def test_a_peer_that_comes_from_another_port_is_judged_as_the_kernels(lab: Lab, config: Path) -> None:
    daemon = lab.start_daemon(
        OUTER + INNER + f"allow {WORLD4} - udp-src kernel\nallow {WORLD4} {LATER_PORT} udp kernel\n"
    )
    bring_up(lab, config)
    assert lab.run([*CURL, f"http://{OUTSIDE}/"]).returncode == 0, daemon.describe()
    assert lab.run_world(["wg", "set", "peer", "listen-port", str(LATER_PORT)]).stderr == ""
    lab.run_world(["ping", "-c1", "-W1", INSIDE])
    came = daemon.wait_connection(direction="inbound", remote_port=LATER_PORT)
    assert (came["program"], came["verdict"]) == ("kernel", "allow")
    assert lab.run([*CURL, f"http://{OUTSIDE}/"]).returncode == 0, daemon.describe()
