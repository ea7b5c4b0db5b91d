"""Connections are logged and judged by the name that was asked for, whatever resolver and transport was used."""

import json
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.lab.daemon import BIN, Daemon, Record
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until, wait_listening, wait_until
from tests.lab.person import Person
from tests.lab.stubs import set_resolvers, start_stub, start_unbound
from tests.lab.world import HOST4, MORE_WORLD4, PROGRAMS, SHARED4, WORLD4, WORLD6
from tinysnitch.kernel.resolver.name_services import BY_RESOLVED
from tinysnitch.kernel.resolver.resolv_conf import NETNS_ETC

pytestmark = [pytest.mark.privileged]

PYTHON = sys.executable
CURL, GIT = "/usr/bin/curl", "/usr/lib/git-core/git-remote-http"
LOCAL = "allow localhost - -\nallow localhost - -src\n"
RESOLVE = f"{LOCAL}allow {WORLD4} 53 udp\nallow {WORLD4} 53 tcp\n"
BY_NAME = "deny unasked.test - -\n"  # so that names matter: each is decided, and logged
ALL = f"{RESOLVE}allow - 80 tcp\n{BY_NAME}"
STUBS = ["dnsmasq", "unbound", "systemd-resolved"]


def fetch(lab: Lab, url: str, *flags: str) -> int:
    return lab.run([CURL, "-sS", "-o", "/dev/null", *flags, url]).returncode


def wait_logged(daemon: Daemon, **fields: object) -> Record:
    return daemon.wait_connection(remote_port=80, **fields)


def make_repository(lab: Lab) -> None:
    folder = str(lab.folder / "world" / "www" / "repo.git")
    for command in (["git", "init", "-q", "--bare", folder], ["git", "-C", folder, "update-server-info"]):
        done = lab.run_outside(command)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stub", [None, *STUBS])
def test_curl_and_git_are_logged_with_the_name_that_was_asked(lab: Lab, stub: str | None) -> None:
    server = start_stub(lab, stub) if stub else WORLD4
    make_repository(lab)
    daemon = lab.start_daemon(ALL)
    for name, flag in (("shop.test", "-4"), ("alias.test", "-4"), ("far.test", "-6"), ("six.test", "-6")):
        assert fetch(lab, f"http://{name}/", flag) == 0, daemon.describe()
        wait_logged(daemon, name=name, program=CURL)
    for name in ("first.shared.test", "second.shared.test"):
        assert fetch(lab, f"http://{name}/") == 0
        wait_logged(daemon, name=name, remote_address=SHARED4)
    for name in ("four.test", "six.test", "alias.test", "second.shared.test"):
        assert lab.run(["git", "ls-remote", f"http://{name}/repo.git"]).returncode == 0
        wait_logged(daemon, name=name, program=GIT)
    set_resolvers(lab, server, options="use-vc")
    assert fetch(lab, "http://evilshop.test/") == 0
    daemon.wait_connection(protocol="tcp", remote_address=server, remote_port=53, program=CURL)
    wait_logged(daemon, name="evilshop.test")
    if stub:
        check_that_its_cache_teaches(lab, daemon)


def check_that_its_cache_teaches(lab: Lab, daemon: Daemon) -> None:
    """Names from the stub's cache are learned, too: the world cannot be asked any more, and a new name is not found."""
    daemon.edit_rules(f"{LOCAL}allow - 80 tcp\n{BY_NAME}deny {WORLD4} 53 -\n")
    assert fetch(lab, "http://n1.cdn.test/", "-4") == 6
    assert fetch(lab, "http://first.shared.test/", "-4") == 0
    records = daemon.wait_for_count(lambda record: record.get("name") == "first.shared.test", 2)
    assert records[0]["pid"] != records[1]["pid"]


@pytest.mark.parametrize("options", ["", "use-vc"])
def test_a_resolver_is_asked_over_ipv6(lab: Lab, options: str) -> None:
    set_resolvers(lab, WORLD6, options=options)
    daemon = lab.start_daemon(f"allow {WORLD6} 53 -\nallow - 80 tcp\n")
    assert fetch(lab, "http://alias.test/", "-6") == 0
    wait_logged(daemon, name="alias.test", remote_address=WORLD6)


def test_an_answer_too_large_for_a_datagram_is_learned_over_tcp(lab: Lab) -> None:
    daemon = lab.start_daemon(ALL)
    assert fetch(lab, "http://big.test/") == 0
    wait_logged(daemon, name="big.test")
    daemon.wait_connection(remote_port=53, protocol="tcp")


BIG_ANSWERS = """
import socket
import dns.message, dns.rrset
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("fd77::53", 53))
print("ready", flush=True)
while True:
    wire, client = server.recvfrom(4096)
    answer = dns.message.make_response(dns.message.from_wire(wire))
    name = answer.question[0].name
    for address in ("fd77::1", *(f"fd77::1:{number:x}" for number in range(99))):  # one by one: sets are shuffled
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "AAAA", address))
    server.sendto(answer.to_wire(), client)
"""
ASK_FOR_ALL = """
import socket, dns.message
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.settimeout(60)
client.sendto(dns.message.make_query("many.test", "AAAA").to_wire(), ("fd77::53", 53))
print(len(dns.message.from_wire(client.recv(8192)).answer[0]))
"""


def test_an_answer_in_fragments_is_delivered_and_teaches(lab: Lab) -> None:
    """Netfilter sees fragments of IPv6 one by one."""
    assert lab.run_world(["ip", "address", "add", "fd77::53/64", "dev", "eth0", "nodad"]).returncode == 0
    server = lab.spawn_world([PYTHON, "-c", BIG_ANSWERS])
    read_until(server, lambda said: said)
    set_resolvers(lab, "fd77::53")
    daemon = lab.start_daemon("allow fd77::53 53 udp\nallow - 80 tcp\n")
    asked = lab.run([PYTHON, "-c", ASK_FOR_ALL])
    assert asked.stdout == "100\n", f"{asked.stderr}\n{daemon.describe()}"
    assert fetch(lab, f"http://[{WORLD6}]/") == 0
    wait_logged(daemon, name="many.test", remote_address=WORLD6)
    assert "not parsed" not in daemon.cli("status").stdout


@pytest.mark.parametrize("words", [["CH", "TXT", "version.bind"], ["+opcode=update", "SOA", "test"], ["+header-only"]])
def test_a_message_that_asks_for_no_name_is_not_reported(lab: Lab, words: list[str]) -> None:
    daemon = lab.start_daemon(RESOLVE)
    asked = lab.run(["dig", "+tries=1", f"@{WORLD4}", *words])
    assert "HEADER" in asked.stdout, asked.stdout
    assert [record["what"] for record in daemon.records("lost")] == []
    assert "not learned" not in daemon.cli("status").stdout


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--no-bpf",)])
@pytest.mark.parametrize("stub", ["dnsmasq", "unbound"])
def test_servers_that_a_local_resolver_asks_are_not_reported_and_those_that_a_program_asks_are(
    lab: Lab, stub: str, flags: tuple[str, ...]
) -> None:
    server = start_stub(lab, stub)
    daemon = lab.start_daemon(ALL, *flags)
    # Without BPF the child that dnsmasq forks for TCP is taken for another program, so only UDP is tried.
    for name, option in (
        ("shop.test", "+notcp"),
        ("big.test", "+notcp" if flags else "+tcp"),
        ("alias.test", "+notcp"),
    ):
        assert lab.run(["dig", "+short", option, f"@{server}", name, "A"]).stdout.strip()
    daemon.wait_connection(remote_address=WORLD4, remote_port=53)
    assert [record["what"] for record in daemon.records("lost")] == []
    assert "not learned" not in daemon.cli("status").stdout
    ask_elsewhere(lab, daemon)


def ask_elsewhere(lab: Lab, daemon: Daemon) -> None:
    """A program asks a server of its own choice, and connects to the address in the answer: that is reported."""
    lab.run([PYTHON, str(PROGRAMS / "asker.py"), "udp", WORLD4, "four.test", "1", WORLD4])
    daemon.wait_for(lambda record: record["event"] == "lost" and "not trusted" in record["what"])


def test_servers_that_a_local_resolver_on_another_port_asks_are_not_reported_either(lab: Lab) -> None:
    """unbound listens so behind Pi-hole."""
    start_unbound(lab, 5335)
    set_resolvers(lab, "127.0.0.1")
    daemon = lab.start_daemon(ALL)
    assert lab.run(["dig", "+short", "-p", "5335", "@127.0.0.1", "shop.test", "A"]).stdout.strip()
    daemon.wait_connection(remote_address=WORLD4, remote_port=53)
    assert [record["what"] for record in daemon.records("lost")] == []
    assert "not learned" not in daemon.cli("status").stdout
    ask_elsewhere(lab, daemon)


def test_that_programs_ask_systemd_resolved_by_its_socket_is_told(lab: Lab) -> None:
    """nss-resolve need not be installed in the lab: what counts is that nsswitch.conf names it."""
    start_stub(lab, "systemd-resolved")
    daemon = lab.start_daemon(ALL)
    (lab.folder / "nsswitch.conf").write_text("hosts: resolve [!UNAVAIL=return] files dns\n")
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == BY_RESOLVED)


@pytest.mark.slow
@pytest.mark.parametrize("domain", [".shared.test", ""], ids=["whole names", "completed by a search domain"])
def test_what_systemd_resolved_answers_from_its_cache_by_that_socket_names_connections(lab: Lab, domain: str) -> None:
    start_stub(lab, "systemd-resolved")
    (lab.folder / "nsswitch.conf").write_text("hosts: resolve [!UNAVAIL=return] files dns\n")
    rules = "allow first.shared.test 80 tcp\ndeny second.shared.test 80 tcp\n"
    allowed, denied = f"first{domain}", f"second{domain}"
    daemon = lab.start_daemon(f"{RESOLVE}{rules}", timeout_s=0)

    def connect(name: str) -> str:
        done = lab.run(["/usr/bin/python3", str(PROGRAMS / "by_resolved.py"), "1", name])
        return next(iter(json.loads(done.stdout)[name]))

    for name, became in ((allowed, "connected"), (denied, "refused")):
        assert connect(name) == became, daemon.describe()
    for name, became in ((allowed, "connected"), (denied, "refused"), (allowed, "connected")):
        # From the cache, where they stay for a minute. On a busy machine systemd-resolved may once tell us too late.
        assert any(connect(name) == became for _ in range(20)), daemon.describe()


@pytest.mark.slow
def test_an_alias_that_systemd_resolved_knows_names_no_connection_by_what_it_leads_to(lab: Lab) -> None:
    start_stub(lab, "systemd-resolved")
    (lab.folder / "nsswitch.conf").write_text("hosts: resolve [!UNAVAIL=return] files dns\n")
    daemon = lab.start_daemon(f"{RESOLVE}allow far.test 80 tcp\nallow alias.test 80 tcp\n", timeout_s=0)
    by_resolved = ["/usr/bin/python3", str(PROGRAMS / "by_resolved.py"), "1"]
    for name in ("far.test", "alias.test"):  # the answer for the first holds that alias.test is shop.test
        done = lab.run([*by_resolved, name])
        assert json.loads(done.stdout) == {name: {"connected": 1}}, daemon.describe()
        wait_logged(daemon, name=name)


def test_names_of_hosts_are_known_and_followed(lab: Lab) -> None:
    hosts = lab.folder / "hosts"
    hosts.write_text(f"{WORLD4} nas files\n")
    daemon = lab.start_daemon("allow nas 80 tcp\ndeny - - -\n")
    assert fetch(lab, "http://files/") == 0
    wait_logged(daemon, name="nas", verdict="allow")
    hosts.write_text(f"{WORLD4} other\n")
    assert fetch_until(lab, "http://other/", 7)
    wait_logged(daemon, name="other", verdict="deny")


def fetch_until(lab: Lab, url: str, status: int) -> bool:
    """Fetch until curl ends with this status: the daemon reads the file a moment after it was written."""
    return any(fetch(lab, url) == status for _ in range(100))


def test_another_resolver_is_followed(lab: Lab) -> None:
    set_resolvers(lab, "192.0.2.53")
    daemon = lab.start_daemon(ALL)
    ask_elsewhere(lab, daemon)
    set_resolvers(lab, WORLD4)
    assert fetch(lab, "http://shop.test/", "-4") == 0
    fetched = [fetch(lab, "http://shop.test/", "-4") for _ in range(5)]
    assert fetched == [0] * 5
    wait_logged(daemon, name="shop.test")


def test_the_resolver_that_ip_netns_exec_gives_to_programs_is_followed(lab: Lab) -> None:
    """The daemon itself is started by nsenter(1), since ip-netns(8) hides the cgroups from it."""
    set_resolvers(lab, "192.0.2.53")
    daemon = lab.start_daemon(f"{LOCAL}allow @resolvers 53 udp\nallow shop.test 80 tcp\n", timeout_s=0)
    folder = NETNS_ETC / lab.namespaces.host
    lab.on_exit(partial(remove_netns_etc, folder))
    folder.mkdir(parents=True)
    (folder / "resolv.conf").write_text(f"nameserver {WORLD4}\n")
    command = ["ip", "netns", "exec", lab.namespaces.host, CURL, "-4sS", "http://shop.test/"]
    assert any(lab.run(command).returncode == 0 for _ in range(100)), daemon.describe()
    wait_logged(daemon, name="shop.test", program=CURL)


def remove_netns_etc(folder: Path) -> None:
    shutil.rmtree(folder)
    with suppress(OSError):  # others have files there
        NETNS_ETC.rmdir()


# Answers the first question with the given address, after a line on stdin.
ANSWER_LATER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
    resolver.bind((sys.argv[1], 53))
    print("ready", flush=True)
    asked, program = resolver.recvfrom(512)
    print("asked", flush=True)
    sys.stdin.readline()
    record = bytes.fromhex("c00c000100010000003c0004") + socket.inet_aton(sys.argv[2])
    resolver.sendto(asked[:2] + bytes.fromhex("81800001000100000000") + asked[12:] + record, program)
"""


def test_the_resolver_of_the_network_that_was_left_may_answer_what_it_was_asked(lab: Lab) -> None:
    left = MORE_WORLD4[0]
    set_resolvers(lab, left, options="timeout:30")  # otherwise it asks anew while the test waits
    resolver = lab.spawn_world([PYTHON, "-c", ANSWER_LATER, left, WORLD4], stdin=subprocess.PIPE)
    assert read_until(resolver, len) == ["ready\n"]
    daemon = lab.start_daemon("allow @resolvers 53 udp\nallow four.test 80 tcp\n", timeout_s=0)
    fetching = lab.spawn([CURL, "-4", "-sS", "http://four.test/"])
    assert read_until(resolver, len) == ["asked\n"]
    set_resolvers(lab, WORLD4)
    wait_until(lambda: "@resolvers" not in daemon.cli("explain", CURL, left, "53", "udp").stdout)
    resolver.communicate("now\n", timeout=WAIT_S)
    assert fetching.communicate(timeout=WAIT_S)[0] == "welcome to the shop\n", daemon.describe()
    assert daemon.records("lost") == []


# From here on: rules by name cannot be evaded


SPELLINGS = ["shop.test", "shop.test.", "SHOP.TEST", "ShOp.test.", "xn--BCHER-kva.test", "bücher.test", "BÜCHER.test."]


def test_however_a_denied_name_is_spelled_it_is_denied(lab: Lab) -> None:
    daemon = lab.start_daemon(RESOLVE + "deny shop.test 80 tcp\ndeny *.bücher.test 80 tcp\nallow - 80 tcp\n")
    statuses = {spelling: fetch(lab, f"http://{spelling}/", "-4") for spelling in SPELLINGS}
    assert statuses == dict.fromkeys(SPELLINGS, 7)
    records = daemon.wait_for_count(lambda record: record.get("remote_port") == 80, 2)  # then the kernel denies
    told = {(record["name"], record["verdict"]) for record in records}
    assert told == {("shop.test", "deny"), ("xn--bcher-kva.test", "deny")}


def test_a_name_that_only_looks_like_an_allowed_one_is_denied(lab: Lab) -> None:
    daemon = lab.start_daemon(RESOLVE + "allow shop.test 80 tcp\nallow *.shop.test 80 tcp\ndeny - 80 tcp\n")
    for name in ("evilshop.test", "shop.test.evil.test"):
        assert fetch(lab, f"http://{name}/") == 7
        wait_logged(daemon, name=name, verdict="deny")
    assert fetch(lab, "http://shop.test/", "-4") == 0


def test_a_denied_name_that_points_to_this_machine_denies_only_connections_by_that_name(lab: Lab) -> None:
    wait_listening(lab.spawn(["/usr/bin/python3", str(PROGRAMS / "tcp_server.py"), "7000"]))
    daemon = lab.start_daemon(RESOLVE + LOCAL + "deny here.test - -\n")
    assert lab.run(["dig", "+short", f"@{WORLD4}", "here.test", "A"]).stdout == "127.0.0.1\n"
    client = ["/usr/bin/python3", str(PROGRAMS / "tcp_client.py")]
    assert lab.run([*client, "127.0.0.1", "7000"]).stdout == "connected\n", daemon.describe()
    assert "ConnectionRefusedError" in lab.run([*client, "here.test", "7000"]).stderr


def test_a_denied_name_that_points_to_the_resolver_does_not_deny_asking_it(lab: Lab) -> None:
    daemon = lab.start_daemon("allow @resolvers 53 udp\ndeny shop.test - -\nallow - 80 tcp\n")
    assert fetch(lab, "http://shop.test/", "-4") == 7
    assert fetch(lab, "http://four.test/") == 0, daemon.describe()


@pytest.mark.parametrize("flags", [(), ("--no-bpf",)])
@pytest.mark.parametrize("verdict", ["allow", "deny"])
def test_a_name_that_a_machine_of_the_link_gives_itself(lab: Lab, verdict: str, flags: tuple[str, ...]) -> None:
    program = ["/usr/bin/python3", str(PROGRAMS / "link_names.py")]
    printer = lab.spawn_world([*program, "answer", WORLD4, "printer.local", MORE_WORLD4[0]])
    wait_listening(printer)
    daemon = lab.start_daemon(f"allow lan - udp\nallow lan - udp-src\n{verdict} *.local 80 tcp\n", *flags)
    done = lab.run([*program, "ask", HOST4, "printer.local", "80"])
    assert done.stdout == ("connected\n" if verdict == "allow" else ""), daemon.describe()
    wait_logged(daemon, name="printer.local", verdict=verdict)


def test_a_held_question_shows_what_it_asks_for(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    lab.spawn(["dig", f"@{WORLD4}", "secret.test", "A"])
    daemon.wait_ask(remote_port=53)
    person = Person([str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket), "--plain"])
    try:
        person.see(f"dig wants to ask {WORLD4} for secret.test")
        person.see("asks for: secret.test")
    finally:
        person.close()
