"""False DNS answers and an untrusted resolver: nothing is learned from them, and each kind is counted."""

import errno
import json

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import wait_listening
from tests.lab.stubs import set_resolvers
from tests.lab.world import HOST4, MORE_WORLD4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

LIAR, TRUTH, LIE = MORE_WORLD4[:3]
LIAR6, OTHER6 = "fd77::3", "fd77::4"
BY_NAME = "deny unasked.test - -\n"  # so that names matter: each is decided, and logged
RULES = f"allow {LIAR} 53 -\nallow {LIAR6} 53 -\nallow {WORLD4} 53 udp\nallow - 80 tcp\n{BY_NAME}"
# Each kind of lie, and how many messages reach the program, the true one included. A message from another address is no
# answer to the question, and is refused.
CASES = {
    "honest": 1,
    "unsolicited": 2,
    "duplicate": 2,
    "wrong-id": 2,
    "wrong-question": 2,
    "wrong-type": 2,
    "wrong-source": 1,
    "loop": 2,
    "oversized": 2,
    "cut": 2,
    "garbage": 2,
}


def ask(lab: Lab, resolver: str, name: str, count: int, protocol: str = "udp") -> None:
    command = ["/usr/bin/python3", str(PROGRAMS / "asker.py"), protocol, resolver, name, str(count), TRUTH, LIE]
    done = lab.run(command)
    assert done.stdout == f"{count}\n", done.stderr


def names_of(daemon: Daemon, address: str, count: int) -> list[str | None]:
    """The names of the first `count` connections to the address."""
    records = daemon.wait_for_count(lambda record: record.get("remote_address") == address, count)
    return [record["name"] for record in records]


@pytest.mark.slow
@pytest.mark.parametrize("liar", [LIAR, LIAR6])
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_lies_are_not_learned_and_the_truth_beside_them_is(lab: Lab, liar: str, protocol: str) -> None:
    start_liar(lab, liar)
    set_resolvers(lab, liar)
    daemon = lab.start_daemon(RULES)
    cases = {case: count for case, count in CASES.items() if (case, protocol) != ("wrong-source", "tcp")}
    for case, count in cases.items():
        ask(lab, liar, f"{case}.liar.test", count, protocol)
    assert names_of(daemon, LIE, len(cases)) == [None] * len(cases)
    assert names_of(daemon, TRUTH, len(cases)) == [f"{case}.liar.test" for case in cases]
    losses = json.loads(daemon.cli("status", "--json").stdout)["losses"]
    assert losses["failures, see the log"] == 0
    counted = {what.rpartition(", ")[2]: count for what, count in losses.items() if "not learned" in what}
    assert counted == {
        "malformed": 4,
        "resolver not trusted": 0,
        "no question was asked": 3,
        "another question was asked": 2,
        "address not on the link": 0,
    }
    told = [record["what"] for record in daemon.records("lost") if "not learned" in record["what"]]
    assert len(told) == len(set(told)) == 3  # each kind once


def start_liar(lab: Lab, liar: str) -> None:
    other = LIE if liar == LIAR else OTHER6
    for address in (LIAR6, OTHER6):
        assert lab.run_world(["ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad"]).returncode == 0
    wait_listening(lab.spawn_world(["/usr/bin/python3", str(PROGRAMS / "liar.py"), liar, other, TRUTH, LIE]))


def test_two_answers_to_a_question_that_was_sent_twice_are_not_counted(lab: Lab) -> None:
    daemon = lab.start_daemon(RULES)
    ask(lab, WORLD4, "n1.cdn.test", 2, "twice")  # its address is TRUTH
    assert names_of(daemon, TRUTH, 1) == ["n1.cdn.test"]
    losses = json.loads(daemon.cli("status", "--json").stdout)["losses"]
    assert not [what for what, count in losses.items() if count and "not learned" in what]


def test_what_a_server_answers_is_learned_if_it_was_given_as_a_resolver(lab: Lab) -> None:
    set_resolvers(lab, LIAR)
    daemon = lab.start_daemon(RULES, "--resolver", WORLD4)
    ask(lab, WORLD4, "n0.page.test", 1)
    assert lab.run(["curl", "-sS", f"http://{LIAR}/"]).returncode == 0
    assert names_of(daemon, LIAR, 1) == ["n0.page.test"]


def test_nothing_is_learned_from_a_server_of_a_programs_own_choice(lab: Lab) -> None:
    set_resolvers(lab, LIAR)
    daemon = lab.start_daemon(RULES)
    ask(lab, WORLD4, "n0.page.test", 1)  # it tells the truth: the address is the liar's
    assert names_of(daemon, TRUTH, 1) == [None]
    assert lab.run(["curl", "-sS", f"http://{LIAR}/"]).returncode == 0
    assert names_of(daemon, LIAR, 1) == [None]
    daemon.wait_for(lambda record: record["event"] == "lost" and "resolver not trusted" in record["what"])


# Asks for printer.local at the first address, its own, answers with the second one, and connects there.
CLAIMER = """
import socket, sys
own, other = sys.argv[1:]
name = b"\\7printer\\5local\\0"
question = bytes(4) + b"\\0\\1" + bytes(6) + name + b"\\0\\1\\0\\1"
record = name + b"\\0\\1\\0\\1\\0\\0\\0\\x78\\0\\4" + socket.inet_aton(other)
with socket.socket(type=socket.SOCK_DGRAM) as claimer, socket.socket(type=socket.SOCK_DGRAM) as asker:
    claimer.bind((own, 5353))
    asker.bind((own, 0))
    asker.sendto(question, (own, 5353))
    claimer.recv(512)
    claimer.sendto(b"\\0\\0\\x84\\0\\0\\0\\0\\1" + bytes(4) + record, asker.getsockname())
    asker.recv(512)
with socket.socket() as client:
    print(client.connect_ex((other, 80)))
"""


@pytest.mark.parametrize("own", ["127.0.0.1", HOST4])
def test_no_program_of_this_machine_can_claim_a_name_of_the_link(lab: Lab, own: str) -> None:
    local = "allow localhost - -\nallow localhost - -src\n"
    daemon = lab.start_daemon(f"{local}allow printer.local 80 tcp\n", timeout_s=0)
    done = lab.run(["/usr/bin/python3", "-c", CLAIMER, own, TRUTH], user="nobody")
    assert done.stdout == f"{errno.ECONNREFUSED}\n", done.stderr
    assert names_of(daemon, TRUTH, 1) == [None]
