"""Two names have one address, one is allowed and one denied: each connection is judged by the name that it is for.

TINYSNITCH_TURNS=1000 makes 1000 connections instead of 300.
"""

import json
import os
from subprocess import PIPE

import pytest

from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S, read_until
from tests.lab.stubs import set_resolvers
from tests.lab.world import MORE_WORLD4, PROGRAMS, SHARED4
from tinysnitch.core.dns.names import ASKERS_PER_NAME, NAMES_PER_ADDRESS

pytestmark = [pytest.mark.privileged]

COUNT = int(os.environ.get("TINYSNITCH_TURNS", "300"))
ALLOWED, DENIED = "first.shared.test", "second.shared.test"
RULES = f"{DNS_RULE}allow {ALLOWED} 80 tcp\ndeny {DENIED} 80 tcp\n"


def command(count: int, *names: str) -> list[str]:
    return ["/usr/bin/python3", str(PROGRAMS / "by_turns.py"), str(count), *names]


@pytest.mark.slow
def test_one_program_that_uses_both_names_in_turns(lab: Lab) -> None:
    lab.start_daemon(RULES)
    done = lab.run(command(COUNT, ALLOWED, DENIED))
    half = COUNT // 2
    assert json.loads(done.stdout) == {ALLOWED: {"connected": half}, DENIED: {"refused": half}}, done.stderr


@pytest.mark.slow
def test_two_programs_at_once_that_use_one_name_each(lab: Lab) -> None:
    lab.start_daemon(RULES)
    clients = [lab.spawn(command(COUNT // 2, name)) for name in (ALLOWED, DENIED)]
    fates = [json.loads(client.communicate(timeout=WAIT_S)[0]) for client in clients]
    assert fates == [{ALLOWED: {"connected": COUNT // 2}}, {DENIED: {"refused": COUNT // 2}}]


@pytest.mark.parametrize("rule", ["", f"deny {DENIED} 80 tcp\n"])
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_an_answer_for_one_connection_holds_against_what_its_program_may_by_another_name(
    lab: Lab, answer: str, rule: str
) -> None:
    """While the question is open, the program connects by another name of the address. The kernel remembers that
    verdict by the address alone, and must not give it to the connection that waits."""
    daemon = lab.start_daemon(f"{DNS_RULE}allow {ALLOWED} 80 tcp\n{rule}", timeout_s=60)
    other = DENIED if rule else ALLOWED
    held = "(exec 3<>/dev/tcp/asked.shared.test/80) 2>/dev/null && echo yes || echo no"
    shell = lab.spawn(["bash", "-c", f"{held} & read -r; (exec 3<>/dev/tcp/{other}/80) 2>/dev/null; wait"], stdin=PIPE)
    ask = daemon.wait_ask(name="asked.shared.test")
    assert shell.stdin
    print(file=shell.stdin, flush=True)
    daemon.wait_connection(name=other)
    daemon.answer(ask, answer, "--for", "once")
    assert shell.communicate(timeout=WAIT_S)[0] == f"{answer}\n"


def test_a_denied_name_that_the_program_kept_is_held_against_it(lab: Lab) -> None:
    """The program asked for the denied name first and connects later. By the newest question it would be the other."""
    daemon = lab.start_daemon(RULES.replace(" 80 ", " 443 "))
    done = lab.run(["/usr/bin/python3", str(PROGRAMS / "keeping_client.py"), DENIED, ALLOWED])
    assert json.loads(done.stdout) == {DENIED: "ConnectionResetError", ALLOWED: "answered"}, done.stderr
    daemon.wait_connection(name=DENIED, verdict="deny", remote_port=443)


SITES = [f"n{number}.shared.test" for number in range(NAMES_PER_ADDRESS)]
SERVE = ["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--log-facility=-", "--user=root", "--pid-file="]
SERVE += ["--no-resolv", "--no-hosts", "--bind-interfaces", f"--listen-address={MORE_WORLD4[0]}"]
SERVE += [f"--host-record={name},{SHARED4}" for name in [DENIED, *SITES]]


def test_a_denied_name_that_the_program_kept_is_held_against_it_among_more_names_than_are_known(lab: Lab) -> None:
    """Browsers keep the names of an address that many sites share."""
    lab.namespaces.start_server([*lab.namespaces.enter_world(), *SERVE], "started")
    set_resolvers(lab, MORE_WORLD4[0])
    daemon = lab.start_daemon(f"allow @resolvers 53 udp\ndeny {DENIED} - -\nallow - 443 tcp\n")
    done = lab.run(["/usr/bin/python3", str(PROGRAMS / "keeping_client.py"), DENIED, *SITES])
    assert json.loads(done.stdout) == {DENIED: "ConnectionResetError", **dict.fromkeys(SITES, "answered")}, done.stderr
    daemon.wait_connection(name=DENIED, verdict="deny", remote_port=443)


ASK_AND_FETCH = """
import runpy, socket, sys
fetch = runpy.run_path(sys.argv[1])["fetch"]
for name in sys.argv[2:]:
    address = socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    print("resolved", flush=True)
    sys.stdin.readline()
for name in sys.argv[2:]:
    print(fetch(address, name))
"""


def test_a_denied_name_that_more_programs_keep_than_are_known_is_held_against_each(lab: Lab) -> None:
    lab.start_daemon(RULES.replace(" 80 ", " 443 "))
    client = ["/usr/bin/python3", "-c", ASK_AND_FETCH, str(PROGRAMS / "keeping_client.py"), DENIED, ALLOWED]
    clients = [lab.spawn(client, stdin=PIPE) for _ in range(ASKERS_PER_NAME + 1)]
    for each in clients:
        read_until(each, lambda said: said[-1] == "resolved\n")
    said = [each.communicate("\n\n", timeout=WAIT_S)[0] for each in clients]
    assert said == ["resolved\nConnectionResetError\nanswered\n"] * len(clients)


KEEP = f"""
import socket, sys
address = socket.getaddrinfo("{ALLOWED}", 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
print("resolved", flush=True)
sys.stdin.readline()
socket.create_connection(address, 60)
print("connected", flush=True)
"""


def test_what_a_program_keeps_is_not_forgotten_for_others_that_have_ended(lab: Lab) -> None:
    """As many others ask for the name as are known of a name at all, and then one asks for the other name."""
    lab.start_daemon(RULES)
    keeper = lab.spawn(["/usr/bin/python3", "-c", KEEP], stdin=PIPE)
    read_until(keeper, lambda said: said[-1] == "resolved\n")
    for name in [ALLOWED] * ASKERS_PER_NAME + [DENIED]:
        assert lab.run(["getent", "ahostsv4", name]).returncode == 0
    assert keeper.communicate("\n", timeout=WAIT_S)[0] == "connected\n"
