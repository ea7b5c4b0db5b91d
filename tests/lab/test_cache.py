"""The kernel repeats a verdict by itself: its count of queued packets shows that user space is not asked again."""

import json
import subprocess

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_listening
from tests.lab.queue_counter import count_queued
from tests.lab.step_client import PROGRAM, StepClient
from tests.lab.world import MORE_WORLD4, PROGRAMS, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

FLOOD = ["/usr/bin/python3", str(PROGRAMS / "udp_flood.py"), WORLD4, "9999"]


def start_sink(lab: Lab, count: int) -> subprocess.Popen[str]:
    sink = lab.spawn_world(["/usr/bin/python3", str(PROGRAMS / "udp_sink.py"), "9999", str(count)])
    wait_listening(sink)
    return sink


@pytest.mark.core_lab
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_second_connection_never_reaches_user_space(lab: Lab, address: str) -> None:
    daemon = lab.start_daemon(f"allow {address} 80 tcp {PROGRAM}\n")
    client = StepClient(lab)
    assert client.connect(address, 80) == "ok"
    queued = count_queued(lab)
    assert queued > 0
    for _again in range(3):
        assert client.connect(address, 80) == "ok"
    assert count_queued(lab) == queued
    assert len(daemon.stop_and_tell("connection")) == 1


def test_a_second_denied_connection_never_reaches_user_space(lab: Lab) -> None:
    lab.start_daemon(f"deny {WORLD4} 80 tcp {PROGRAM}\n")
    client = StepClient(lab)
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"
    queued = count_queued(lab)
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"
    assert count_queued(lab) == queued


def test_a_second_inbound_connection_never_reaches_user_space(lab: Lab) -> None:
    wait_listening(lab.spawn(["/usr/bin/python3", str(PROGRAMS / "tcp_server.py"), "7000"]))
    lab.start_daemon("allow - 7000 tcp-src\n")
    client = ["/usr/bin/python3", str(PROGRAMS / "tcp_client.py"), "10.77.0.2", "7000"]
    assert lab.run_world(client).stdout == "connected\n"
    queued = count_queued(lab)
    assert lab.run_world(client).stdout == "connected\n"
    assert count_queued(lab) == queued


def test_where_rules_do_not_ask_for_the_remote_one_decision_is_for_all(lab: Lab) -> None:
    """Until a rule asks for it."""
    daemon = lab.start_daemon(f"allow - - - {PROGRAM}\nallow localhost - -\n")
    client, last = StepClient(lab), MORE_WORLD4[-1]
    assert client.connect(WORLD4, 80) == "ok"
    daemon.wait_connections(1)
    queued = count_queued(lab)
    for address in (*MORE_WORLD4, WORLD6):
        assert client.connect(address, 80) == "ok"
    assert client.connect(last, 8080) == "ok"
    assert count_queued(lab) == queued
    daemon.edit_rules(f"allow - - - {PROGRAM}\ndeny {last} - -\n")
    assert client.connect(last, 80) == "ECONNREFUSED"
    assert count_queued(lab) == queued + 1


def test_another_process_of_the_program_never_reaches_user_space_and_another_program_does(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp /usr/bin/curl\ndeny - - -\n")
    for path in ("", "other"):
        assert lab.run(["/usr/bin/curl", "-s", f"http://{WORLD4}/{path}"]).returncode == 0
    assert StepClient(lab).connect(WORLD4, 80) == "ECONNREFUSED"
    assert [record["verdict"] for record in daemon.wait_connections(2)] == ["allow", "deny"]


def test_each_process_of_a_script_is_judged_for_itself(lab: Lab) -> None:
    """Which file the interpreter opens is looked up on the disk each time."""
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    for _process in range(2):
        assert StepClient(lab).connect(WORLD4, 80) == "ok"
    assert len(daemon.wait_connections(2)) == 2


def test_another_remote_and_another_port_are_judged(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\ndeny {WORLD4} 8080 tcp\ndeny {MORE_WORLD4[0]} 80 tcp\n")
    client = StepClient(lab)
    assert client.connect(WORLD4, 80) == "ok"
    assert client.connect(WORLD4, 8080) == "ECONNREFUSED"
    assert client.connect(MORE_WORLD4[0], 80) == "ECONNREFUSED"
    assert [record["verdict"] for record in daemon.wait_connections(3)] == ["allow", "deny", "deny"]


@pytest.mark.slow
@pytest.mark.core_lab
def test_a_flow_of_ten_thousand_datagrams_costs_one_decision(lab: Lab) -> None:
    sink = start_sink(lab, 10_000)
    daemon = lab.start_daemon(f"allow {WORLD4} 9999 udp\n")
    flood = lab.spawn([*FLOOD, "10000"], stdin=subprocess.PIPE)
    daemon.wait_connections(1)
    queued = count_queued(lab)
    flood.communicate("go on\n", timeout=WAIT_S)
    assert sink.communicate(timeout=WAIT_S)[0] == "10000\n"
    assert count_queued(lab) == queued == 1
    assert len(daemon.stop_and_tell("connection")) == 1


def test_what_is_held_until_a_flow_is_decided_costs_no_more_decisions(lab: Lab) -> None:
    """None is lost, however late the decision is: all leave at once, and net.core.netdev_max_backlog holds as many."""
    sink = start_sink(lab, 900)
    daemon = lab.start_daemon(f"allow {WORLD4} 9999 udp\n")
    assert lab.run([*FLOOD, "900"]).returncode == 0
    assert sink.communicate(timeout=WAIT_S)[0] == "900\n"
    assert len(daemon.stop_and_tell("connection")) == 1


def test_status_counts_hits_and_misses(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    client = StepClient(lab)
    for _again in range(3):
        assert client.connect(WORLD4, 80) == "ok"
    status = json.loads(daemon.cli("status", "--json").stdout)
    assert (status["hits"], status["misses"]) == (2, 1)


def test_what_followed_a_held_datagram_takes_no_hits_away(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    client = StepClient(lab)
    for _again in range(5):
        assert client.connect(WORLD4, 80) == "ok"
    lab.run([*FLOOD, "9"])
    question = daemon.wait_ask(remote_port=9999)
    daemon.answer(question, "yes")
    status = json.loads(daemon.cli("status", "--json").stdout)
    assert (status["hits"], status["misses"]) == (4, 1 + 10)  # nine datagrams and an `end`
