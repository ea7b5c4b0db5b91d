""""""

import time

import msgspec
import pytest

from tests.core.engine.transcript import Transcript, flow_of, inbound, whose
from tests.core.prompts.catalogued import catalogued
from tests.core.prompts.test_catalogue import AT_HOME, INIT, KERNEL_ARGS, REPORT, worker
from tests.view.sample_prompts import CURL, IN, connection_of
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Asking, Connection
from tinysnitch.core.model.flow import TCP, UDP, Flow
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, Process
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Lifetime, RemoteScope
from tinysnitch.core.prompts.proposal import Proposal, choose_first, learn_rule, propose, propose_by_answers
from tinysnitch.core.rules.rule_line import format_rule, parse_rule

BROWSER = msgspec.structs.replace(
    CURL,
    program="/usr/lib/chromium/chromium",
    executable="/usr/lib/chromium/chromium",
    args=("--type=utility", "--field-trial-handle=3,i,8459356107866096316"),
    parents=("/usr/lib/chromium/chromium", "/usr/bin/bash"),
)
PYTHON_FILE = "/usr/bin/python3.13"
CODE = "import socket; socket.create_connection(('four.test', 80))"
STUB = "/opt/ansible/cli/scripts/ansible_connection_cli_stub.py"
SERVER = "/home/a/.vscode-server/bin/0958016b2af9f09b"
TOKEN = "--connection-token=3101051879-1315853121-3707927806-892141436"
APPIMAGE = "/tmp/.mount_electrAbC123/usr/bin"
RENAMED = "/home/a/bin/tool"  # a copy of an interpreter, or a hard link to one


def running(program: str, *args: str, **fields: object) -> Process:
    changes = {"program": program, "executable": program, "args": args, **fields}
    return msgspec.structs.replace(CURL, **changes)


def script(program: str, *args: str) -> Process:
    return running(program, *args, executable=PYTHON_FILE, run_by=PYTHON_FILE)


def flatpak(*args: str) -> Process:
    owners = ("unit:app-flatpak-org.browser-1.scope", "flatpak:org.browser")
    return running("/app/bin/browser", *args, is_host_file=False, owners=owners)


def test_the_usual_is_nine_minutes_for_this_name_and_port_and_the_path() -> None:
    choice = choose_first(connection_of())
    assert (choice.lifetime, choice.remote, choice.any_port) == (Lifetime.NINE_MINUTES, RemoteScope.NAME, False)
    assert choice.any_args
    assert not choose_first(Connection(flow=IN, attribution=UNKNOWN)).any_args


@pytest.mark.parametrize(
    "process",
    [
        CURL,
        BROWSER,
        flatpak("-P", "work"),
        script("/srv/report.py", "--since", "yesterday"),
        script("/usr/bin/qutebrowser", "https://shop.test/"),
        script(STUB, "4711", "0a3f-11e9"),
        running("/usr/bin/ssh", "git@shop.test", "git-upload-pack 'a.git'", parents=("/usr/bin/git",)),
        running("/usr/bin/wget", "-m", "shop.test"),
        running("/usr/bin/ping", "-c", "3", "shop.test"),
        running("/usr/bin/psql", "-c", "select 1; select 2"),
        running("/usr/bin/git-lfs", "pre-push", "origin", "https://a/b.git"),
        running("/usr/lib/firefox-esr/firefox-esr", "-P", "work"),
        running("/usr/bin/luac"),
        running("/usr/bin/qemu-system-x86_64", "-m", "4096"),
        running("/home/a/go/bin/load", "-c", "50", "-n", "1000", "https://shop.test/"),
        running("/home/a/bin/wget", "-c", "https://shop.test/a", "-m", "5"),
        running("/home/a/.cargo/bin/fetch", "shop.test", "sh", "-c", "echo a; echo b"),  # behind a word: not its code
        running(f"{APPIMAGE}/joplin", "--no-sandbox"),
        running(f"{APPIMAGE}/python3", "-s", f"{APPIMAGE}/app"),  # of another path at the next start
    ],
)
def test_a_program_is_proposed_whatever_its_arguments(process: Process) -> None:
    assert choose_first(connection_of(process)).any_args


@pytest.mark.parametrize(
    "process",
    [
        running(PYTHON_FILE, "-c", CODE),
        running(PYTHON_FILE, "-m", "http.server"),
        running(PYTHON_FILE),  # what comes by standard input
        running(PYTHON_FILE, "-"),
        running(PYTHON_FILE, "-c", "pass", parents=(PYTHON_FILE,)),  # an interpreter that started itself
        running("/usr/bin/bash", "-c", "exec 3<>/dev/tcp/four.test/80"),
        running("/usr/bin/dash"),
        running("/usr/bin/fish", "-c", "x"),
        running("/usr/bin/perl", "-e", CODE),
        running("/usr/lib/jvm/java-21/bin/java", "-jar", "/home/a/a.jar"),
        running("/usr/lib/jvm/java-21/bin/java", "-cp", "/home/a", "Main"),
        running("/usr/bin/busybox", "sh", "-c", CODE),
        running("/bin/busybox.static", "wget", "http://four.test/"),
        running("/usr/bin/lua5.4", "x.lua"),
        running("/usr/libexec/platform-python3.6", "-c", CODE),
        running("/lib64/ld-linux-x86-64.so.2", PYTHON_FILE, "-c", CODE),
        running("/usr/bin/qemu-aarch64-static", "/srv/python3", "-c", CODE),
        running("/home/a/miniconda3/bin/python3.12", "a.py"),  # its scripts have no name of their own
        running(f"{SERVER}/node", f"{SERVER}/out/bootstrap-fork", TOKEN),
        running(f"{APPIMAGE}/python3", "-s", "/srv/app"),
        script("/usr/bin/ipython3", "-c", CODE),
        script("/opt/pydev/pydevd.py", "--client", "127.0.0.1", "--file", "/home/a/x.py"),
        # under another name: a user's own copy
        running(RENAMED, "-c", CODE),
        running(RENAMED, "-u", "-Ic", CODE),
        running(RENAMED, f"-c{CODE}"),
        running(RENAMED, "-c", "exec 3<>/dev/tcp/four.test/80"),
        running(RENAMED, "-e", CODE),
        running(RENAMED, "--eval", CODE),
        running(RENAMED, f"--eval={CODE}"),
        running(RENAMED, "-m", "http.server"),
        running(RENAMED, "-jar", "a.jar"),
        running(RENAMED, "-", "four.test"),
        running(RENAMED, "sh", "-c", CODE),  # busybox
        running(RENAMED, "/usr/bin/python3", "-c", CODE),  # the dynamic loader
        worker("a.py", started_by=AT_HOME, executable=AT_HOME),
        worker("-m", "http.server"),
        worker(*KERNEL_ARGS, started_by="/usr/bin/bash"),
    ],
)
def test_arguments_that_say_what_runs_are_proposed_with_it(process: Process) -> None:
    assert not choose_first(connection_of(process)).any_args


@pytest.mark.parametrize(
    "process",
    [
        worker(*KERNEL_ARGS),
        worker(*KERNEL_ARGS, started_by=AT_HOME, executable=AT_HOME),
        running(f"{SERVER}/node", f"{SERVER}/out/server-main.js", TOKEN, parents=(f"{SERVER}/bin/code-server", INIT)),
    ],
)
def test_a_worker_is_proposed_whatever_its_arguments_but_below_its_starter(process: Process) -> None:
    asked = connection_of(process)
    choice = msgspec.structs.replace(choose_first(asked), lifetime=Lifetime.FOREVER)
    line = format_rule(rule_for_choice(asked, choice, 0.0))
    assert f" parent={process.parents[0]} shop.test 443 tcp {process.program}" in line
    assert line.endswith(process.program)


def test_no_option_takes_long_to_look_at() -> None:
    """Users choose arguments, which may have 128 KiB."""
    began_s = time.process_time()
    for word in ("-" + "e" * 100_000, "-c" * 50_000, "- " * 50_000, "/" * 100_000):
        choose_first(connection_of(running(RENAMED, word, word, word)))
        choose_first(connection_of(worker(word, word)))
    assert time.process_time() - began_s < 1


def test_a_rule_that_asks_about_arguments_keeps_them() -> None:
    """With any arguments the answer's rule would not be narrower than the rule that asks, which would ask again."""
    engine, who = Transcript("ask - - - /usr/bin/curl -s"), whose(args=("-s",))
    engine.queue(flow_of(1), who)
    (prompt,) = engine.engine.open_prompts(engine.now)
    assert not prompt.proposal.any_args
    engine.answer(1, msgspec.structs.replace(prompt.proposal, lifetime=Lifetime.FOREVER))
    assert "allow 2" in engine.queue(flow_of(2), who)


@pytest.mark.parametrize(("asking", "any_args"), [(REPORT, True), ("/usr/bin/make", False)])
def test_a_rule_has_room_for_one_parent(asking: str, any_args: bool) -> None:
    """A rule that asks may name another parent, which may have started more than these workers."""
    asked = msgspec.structs.replace(connection_of(worker(*KERNEL_ARGS)), asking=Asking(parent=asking))
    assert choose_first(asked).any_args is any_args


@pytest.mark.parametrize(
    ("flow", "any_port"),
    [
        (inbound(1900, 40001, protocol=UDP), True),
        (inbound(1900, 5000, protocol=UDP), False),
        (inbound(1900, 61000, protocol=UDP), False),
        (inbound(1900, 40001, protocol=TCP), False),
        (flow_of(1900, port=40001, protocol=UDP), True),
        (flow_of(1900, port=5000, protocol=UDP), False),
        (flow_of(40000, port=40001, protocol=UDP), False),
        (flow_of(1900, port=40001, protocol=TCP), False),
        *((flow_of(port=port, protocol=UDP), 33434 <= port < 33534) for port in (33433, 33434, 33523, 33533, 33534)),
        (flow_of(port=33434, protocol=TCP), False),
        (inbound(33434, 5000, protocol=UDP), False),
    ],
)
def test_a_port_that_the_kernel_chose_for_a_moment_is_left_open(flow: Flow, any_port: bool) -> None:
    asked = msgspec.structs.replace(connection_of(), flow=flow)
    assert choose_first(asked).any_port is any_port
    assert not choose_first(Connection(flow=flow, attribution=KERNEL)).any_port


@pytest.mark.parametrize("prober", ["/usr/bin/mtr-packet", "/usr/bin/tracepath"])
def test_ports_that_a_prober_counts_up_are_left_open(prober: str) -> None:
    process = msgspec.structs.replace(CURL, program=prober)
    for flow, any_port in ((flow_of(port=44444, protocol=UDP), True), (flow_of(port=80, protocol=TCP), False)):
        asked = msgspec.structs.replace(connection_of(process), flow=flow)
        assert choose_first(asked).any_port is any_port


def test_the_port_of_one_session_of_mosh_is_left_open() -> None:
    """mosh-server takes the first free port from 60001 on."""
    process = msgspec.structs.replace(CURL, program="/usr/bin/mosh-client")
    for flow, any_port in ((flow_of(port=60002, protocol=UDP), True), (flow_of(port=60002, protocol=TCP), False)):
        asked = msgspec.structs.replace(connection_of(process), flow=flow)
        assert choose_first(asked).any_port is any_port


def test_talk_on_the_link_is_for_the_whole_lan() -> None:
    asked = msgspec.structs.replace(connection_of(flow=inbound(5353, 5353, protocol=UDP)), is_lan_traffic=True)
    assert choose_first(asked).remote is RemoteScope.DOMAIN


def test_what_is_proposed_first_covers_no_more_than_its_question() -> None:
    assert propose(connection_of()) == Proposal(choose_first(connection_of()), widened="")


CURL_S = whose(args=("-s", "http://shop.test/?1795807197"))
PYTHON = whose(program="/usr/bin/python3.13", args=("-c", "x"))
SSHD = whose(program="/usr/sbin/sshd")


@pytest.mark.parametrize(
    ("flow", "who", "fields", "expected"),
    [
        (inbound(), SSHD, {}, ["allow 10.0.0.5 22 tcp-src /usr/sbin/sshd", "allow - 22 tcp-src /usr/sbin/sshd"]),
        (
            inbound(),
            SSHD,
            {"is_from_lan": True},
            ["allow 10.0.0.5 22 tcp-src /usr/sbin/sshd", "allow lan 22 tcp-src /usr/sbin/sshd"],
        ),
        (inbound(), KERNEL, {}, ["allow 10.0.0.5 22 tcp-src kernel", "allow - 22 tcp-src kernel"]),
        (flow_of(), CURL_S, {"name": "shop.test"}, ["allow shop.test 443 tcp /usr/bin/curl"]),
        (flow_of(), CURL_S, {}, ["allow 10.0.0.80 443 tcp /usr/bin/curl", "allow - 443 tcp /usr/bin/curl"]),
        (flow_of(), PYTHON, {"name": "shop.test"}, ["allow shop.test 443 tcp /usr/bin/python3.13 -c x"]),
    ],
)
def test_the_rule_and_the_wider_ones(
    flow: Flow, who: Attribution, fields: dict[str, object], expected: list[str]
) -> None:
    connection = catalogued(Connection(flow=flow, attribution=who, **fields))  # type: ignore[arg-type]
    rule, wider = learn_rule(connection, None, 1.5)
    assert [format_rule(each) for each in (rule, *wider)] == expected


def test_what_a_rule_asks_about_is_not_widened() -> None:
    """A wider rule might not be narrower than the rule that asks, which would then ask again."""
    connection = Connection(flow=inbound(), attribution=SSHD)
    assert learn_rule(connection, parse_rule("ask 10.0.0.0/8 - -src"), 1.5)[1] == ()


def test_an_argument_that_looks_like_a_secret_is_in_no_proposed_rule() -> None:
    """Nor is a one-liner's rule for whatever its interpreter runs: it is for this start alone."""
    code = ("-c", "import urllib.request as r; r.urlopen('https://shop.test/?token=hunter2hunter2')")
    connection = connection_of(running(PYTHON_FILE, *code))
    choice = propose(connection).choice
    rule = rule_for_choice(connection, choice, 0.0)
    assert (choice.lifetime, choice.any_args, rule.args) == (Lifetime.QUIT, False, None)
    assert rule.exec_id == connection.attribution.process.exec_id  # type: ignore[union-attr]
    curl = connection_of(msgspec.structs.replace(CURL, args=("-H", "Authorization: Bearer hunter2hunter2")))
    assert rule_for_choice(curl, propose(curl).choice, 0.0).args is None


def test_a_proposal_that_earlier_answers_widen_says_why_and_what_it_is_without_them() -> None:
    connection, now = connection_of(name="img.shop.test"), Instant(0.0, 0.0)
    rules = ActiveRules(Facts())
    assert propose_by_answers(connection, rules, now) == propose(connection)
    alone = propose(connection).choice
    args = "" if alone.any_args else " -s https://shop.test/"
    rules.replace_file_rules(parse_rule(f"allow {name}.shop.test 443 tcp /usr/bin/curl{args}") for name in ("a", "b"))
    assert propose_by_answers(connection, rules, now) == Proposal(
        msgspec.structs.replace(alone, remote=RemoteScope.DOMAIN),
        "for all of shop.test, since a.shop.test and b.shop.test were allowed",
        alone,
    )
