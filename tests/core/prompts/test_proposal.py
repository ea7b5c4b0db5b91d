""""""

import msgspec
import pytest

from tests.core.engine.transcript import flow_of, inbound, whose
from tests.core.prompts.test_workers import AT_HOME, KERNEL_ARGS, REPORT, worker
from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, IN, connection_of, prompt_of
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Asking, Connection
from tinysnitch.core.model.flow import TCP, UDP, Flow
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, Process
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Lifetime, RemoteScope
from tinysnitch.core.prompts.proposal import Proposal, choose_first, learn_rule, propose, propose_by_answers
from tinysnitch.core.rules.text import format_rule, parse_rule
from tinysnitch.view.prompt_events import QuestionOpened

BROWSER = msgspec.structs.replace(
    CURL,
    program="/usr/lib/chromium/chromium",
    executable="/usr/lib/chromium/chromium",
    args=("--type=utility", "--field-trial-handle=3,i,8459356107866096316"),
    parents=("/usr/lib/chromium/chromium", "/usr/bin/bash"),
)


ZED = "/home/a/.local/zed.app/libexec/zed-editor"
BUSYBOX = "/usr/bin/busybox"  # in whose shell one of its applets was started
PYPY = "/usr/bin/pypy3.11"
LUA = "/usr/bin/lua5.4"  # of which one script started another
FIREFOX = msgspec.structs.replace(
    CURL, program="/usr/lib/firefox-esr/firefox-esr", args=("https://shop.test/",), parents=("/usr/bin/mutt",)
)
WEBKIT = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/WebKitNetworkProcess"
GVFS = ("--spawner", ":1.7", "/org/gtk/gvfs/exec_spaw/6")
KIO = ("/usr/lib/qt6/plugins/kf6/kio/kio_http.so", "https", "", "local:/run/user/1000/dolphinWLYwXX.2.kioworker.socket")


PRINTED = ("7", "alice", "letter.txt", "1", "job-uuid=urn:uuid:08dac4b3-dee0-3780-4b1d-c33c5a83d5b8")
PINGS = (
    "https://pings.test/submit/telemetry/2b7c0a5e",
    "/home/a/.mozilla/firefox/x.default/saved-telemetry-pings/2b7c0a5e",
)
GO = "/tmp/go-build2657164098/b001"
STUB = "ansible_connection_cli_stub.py"
APPIMAGE = "/tmp/.mount_electrAbC123/usr/bin"
PASST = ("--one-off", "--socket", "/run/user/1000/libvirt/qemu/run/passt/3-vm-net0.socket")
SERVER = "/home/a/.vscode-server/bin/0958016b2af9f09b"
TOKEN = "--connection-token=3101051879-1315853121-3707927806-892141436"


def flatpak(*args: str) -> Process:
    owners = ("unit:app-flatpak-org.browser-1.scope", "flatpak:org.browser")
    return msgspec.structs.replace(CURL, is_host_file=False, owners=owners, args=args)


def python(**changes: object) -> Process:
    itself = "/usr/bin/python3.13"
    fields = {"program": itself, "executable": itself, "args": ("-c", "pass"), "parents": (itself,), **changes}
    return msgspec.structs.replace(CURL, **fields)


def test_the_usual_is_nine_minutes_for_this_name_port_path_and_arguments() -> None:
    choice = choose_first(connection_of())
    assert (choice.lifetime, choice.remote, choice.any_port) == (Lifetime.NINE_MINUTES, RemoteScope.NAME, False)
    assert not choice.any_args
    assert choose_first(Connection(flow=IN, attribution=UNKNOWN)) == choice


@pytest.mark.parametrize(
    ("process", "any_args"),
    [
        (BROWSER, True),
        (msgspec.structs.replace(BROWSER, parents=("/usr/bin/bash", BROWSER.program)), False),
        (msgspec.structs.replace(BROWSER, parents=()), False),
        (msgspec.structs.replace(BROWSER, args=()), False),
        (python(), False),
        (msgspec.structs.replace(BROWSER, program=BUSYBOX, executable=BUSYBOX, parents=(BUSYBOX,)), False),
        (msgspec.structs.replace(BROWSER, program=PYPY, executable=PYPY, args=("x.py",), parents=(PYPY,)), False),
        (msgspec.structs.replace(BROWSER, program=LUA, executable=LUA, args=("x.lua",), parents=(LUA,)), False),
        (worker("a.py", started_by=AT_HOME, executable=AT_HOME), False),
        (worker(*KERNEL_ARGS, started_by=AT_HOME, executable=AT_HOME), True),
        (msgspec.structs.replace(CURL, program="/usr/bin/slirp4netns", args=("-c", "4711", "tap0")), True),
        (msgspec.structs.replace(CURL, program="/usr/bin/passt.avx2", args=("--netns", "/run/netns/netns-4d1f")), True),
        (msgspec.structs.replace(CURL, program="/usr/sbin/docker-proxy", args=("-container-ip", "172.17.0.3")), True),
        (msgspec.structs.replace(CURL, program="/usr/bin/passt.avx2", args=PASST), True),
        (msgspec.structs.replace(CURL, program="/opt/slirp4netns/curl"), False),
        (flatpak("-P", "https://shop.test/"), True),
        (flatpak("-P", "work"), False),
        (msgspec.structs.replace(flatpak("https://shop.test/"), is_host_file=True), False),
        (msgspec.structs.replace(flatpak("https://shop.test/"), owners=("container:a",)), False),
        (msgspec.structs.replace(CURL, args=("https://shop.test/",)), False),
        (FIREFOX, True),
        (msgspec.structs.replace(FIREFOX, args=()), True),
        (msgspec.structs.replace(FIREFOX, args=("--private-window",)), True),
        (msgspec.structs.replace(FIREFOX, args=("-P", "work")), False),
        (msgspec.structs.replace(FIREFOX, args=("-P", "work", "https://shop.test/")), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/lib/thunderbird/thunderbird", args=("mailto:a@b.test",)), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/qbittorrent", args=("magnet:?xt=urn:btih:1",)), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/qbittorrent", args=()), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/falkon", args=("https://shop.test/",)), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/qutebrowser", args=("--untrusted-args", "a.test")), True),
        *(
            (msgspec.structs.replace(FIREFOX, program=f"/usr/bin/{name}"), True)
            for name in ("dillo", "netsurf-gtk", "angelfish", "celluloid", "haruna", "totem", "deluge-gtk")
        ),
        (msgspec.structs.replace(FIREFOX, program=ZED, args=("zed-cli:///tmp/.tmpk3Xq/socket",)), True),
        (msgspec.structs.replace(FIREFOX, program="/opt/pycharm/bin/pycharm", args=("/home/a/shop",)), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/mpv", args=("https://tube.test/1.webm",)), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/claws-mail", args=("--compose",)), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/falkon"), True),
        (python(program="/usr/bin/qutebrowser", args=("https://shop.test/",), run_by="/usr/bin/python3.13"), True),
        (python(program="/usr/bin/deluge-gtk", args=("magnet:?xt=urn:btih:1",), run_by="/usr/bin/python3.13"), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/telegram-desktop", args=("--", "tg://a")), True),
        (msgspec.structs.replace(FIREFOX, program="/usr/bin/links", args=("https://shop.test/",)), False),
        (msgspec.structs.replace(FIREFOX, args=("--marionette", "-profile", "/tmp/rust_mozprofileXk3")), True),
        (msgspec.structs.replace(FIREFOX, args=("--profile", "/home/a/work")), False),
        (msgspec.structs.replace(CURL, args=("--cacert", "/tmp/a.pem")), False),
        (msgspec.structs.replace(CURL, program="/usr/lib/git-core/git-remote-http", args=("origin", "http://a")), True),
        (msgspec.structs.replace(CURL, program="/usr/libexec/gvfsd-dav", args=GVFS), True),
        (msgspec.structs.replace(CURL, program="/usr/libexec/kf6/kioworker", args=KIO), True),
        (
            msgspec.structs.replace(CURL, program="/usr/lib/wpe-webkit-2.0/WPENetworkProcess", args=("7", "21", "23")),
            True,
        ),
        (msgspec.structs.replace(CURL, program="/opt/idea/jbr/lib/jcef_helper", args=BROWSER.args), True),
        (msgspec.structs.replace(CURL, program="/usr/libexec/obs-plugins/obs-browser-page", args=BROWSER.args), True),
        (
            msgspec.structs.replace(
                CURL, program="/srv/a/bin/workerd", args=("serve", "--external-addr=loopback=:4", "-")
            ),
            True,
        ),
        (msgspec.structs.replace(CURL, program="/usr/lib/firefox-esr/pingsender", args=PINGS), True),
        (msgspec.structs.replace(CURL, program=WEBKIT, args=("7", "21", "23"), parents=("/usr/bin/epiphany",)), True),
        (msgspec.structs.replace(CURL, program="/usr/lib/cups/backend/ipp", args=PRINTED), True),
        (msgspec.structs.replace(CURL, program="/usr/bin/smbspool", args=PRINTED), True),
        (msgspec.structs.replace(CURL, program="/home/a/backend/ipp", args=PRINTED), False),
        (
            msgspec.structs.replace(
                CURL,
                program="/home/a/.pulumi/plugins/resource-aws-v7.27.0/pulumi-resource-aws",
                args=("127.0.0.1:57548",),
            ),
            True,
        ),
        (
            msgspec.structs.replace(CURL, program="/usr/bin/git-lfs", args=("pre-push", "origin", "https://a/b.git")),
            True,
        ),
        (msgspec.structs.replace(CURL, program="/usr/bin/msmtp", args=("-oi", "--", "b@shop.test")), True),
        (
            msgspec.structs.replace(
                CURL, program="/usr/bin/mosh-client", args=("-# shop.test |", "10.0.0.80", "60001")
            ),
            True,
        ),
        (msgspec.structs.replace(CURL, program=f"{APPIMAGE}/python3", args=("-s", f"{APPIMAGE}/app")), True),
        (msgspec.structs.replace(CURL, program=f"{APPIMAGE}/python3", args=("-s", "/srv/app")), False),
        (msgspec.structs.replace(CURL, args=("-o", f"{APPIMAGE}/app")), False),
        (msgspec.structs.replace(CURL, program=f"{GO}/a.test", args=(f"-test.testlogfile={GO}/testlog.txt",)), True),
        (msgspec.structs.replace(CURL, program=f"{GO}/a.test", args=("-test.count=1", "")), False),
        (python(program="/opt/a.py", run_by="/usr/bin/python3.13", parents=("/opt/a.py",)), False),
        (worker(*KERNEL_ARGS), True),
        (worker(*KERNEL_ARGS, started_by="/usr/bin/bash"), False),
        (worker("-m", "http.server"), False),
        (python(program="/opt/pipenv/resolver/main.py", args=("--request-file", "/tmp/pipenv-request-fcr.json")), True),
        (python(program=f"/opt/ansible/cli/scripts/{STUB}", args=("4711", "0a3f-11e9")), True),
        (msgspec.structs.replace(CURL, program="/usr/bin/dirmngr", args=("--homedir", "/tmp/a", "--daemon")), True),
        (python(program="/srv/resolver/main.py", args=("--request-file", "/tmp/a.json")), False),
        (python(program="/opt/pip/__pip-runner__.py", args=("install", "--prefix", "/tmp/pip-build-env-x8f/a")), True),
        (msgspec.structs.replace(CURL, program=f"{SERVER}/node", args=(f"{SERVER}/out/server-main.js", TOKEN)), True),
        (msgspec.structs.replace(CURL, program=f"{SERVER}/out/server-main.js", args=(TOKEN,)), True),
        (msgspec.structs.replace(CURL, program=f"{SERVER}/node", args=(f"{SERVER}/out/bootstrap-fork", TOKEN)), False),
        (msgspec.structs.replace(CURL, program="/usr/bin/node", args=(f"{SERVER}/out/server-main.js", TOKEN)), False),
        (msgspec.structs.replace(CURL, program="/usr/bin/node", args=("/usr/bin/out/server-main.js", TOKEN)), False),
    ],
)
def test_arguments_that_will_be_others_next_time_are_left_open(process: Process, any_args: bool) -> None:
    assert choose_first(connection_of(process)).any_args is any_args


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


def test_a_question_begins_with_it() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1, connection_of(BROWSER))), 0.0)
    assert state.selected
    assert state.selected.choice.any_args


CURL_S = whose(args=("-s", "http://shop.test/?1795807197"))
PYTHON = whose(program="/usr/bin/python3.13", args=("-c", "x"))
SSHD = whose(program="/usr/sbin/sshd")
RULE_OF_CURL = "443 tcp /usr/bin/curl -s 'http://shop.test/?1795807197'"


@pytest.mark.parametrize(
    ("flow", "who", "fields", "expected"),
    [
        (inbound(), SSHD, {}, ["allow 10.0.0.5 22 tcp-src /usr/sbin/sshd ()", "allow - 22 tcp-src /usr/sbin/sshd ()"]),
        (
            inbound(),
            SSHD,
            {"is_from_lan": True},
            ["allow 10.0.0.5 22 tcp-src /usr/sbin/sshd ()", "allow lan 22 tcp-src /usr/sbin/sshd ()"],
        ),
        (inbound(), KERNEL, {}, ["allow 10.0.0.5 22 tcp-src kernel", "allow - 22 tcp-src kernel"]),
        (flow_of(), SSHD, {"name": "shop.test"}, ["allow shop.test 443 tcp /usr/sbin/sshd ()"]),
        (
            flow_of(),
            CURL_S,
            {"name": "shop.test"},
            [f"allow shop.test {RULE_OF_CURL}", "allow shop.test 443 tcp /usr/bin/curl"],
        ),
        (
            flow_of(),
            CURL_S,
            {},
            [f"allow 10.0.0.80 {RULE_OF_CURL}", f"allow - {RULE_OF_CURL}", "allow 10.0.0.80 443 tcp /usr/bin/curl"],
        ),
        (flow_of(), PYTHON, {"name": "shop.test"}, ["allow shop.test 443 tcp /usr/bin/python3.13 -c x"]),
    ],
)
def test_the_rule_and_the_wider_ones(
    flow: Flow, who: Attribution, fields: dict[str, object], expected: list[str]
) -> None:
    rule, wider = learn_rule(Connection(flow=flow, attribution=who, **fields), None, 1.5)  # type: ignore[arg-type]
    assert [format_rule(each) for each in (rule, *wider)] == expected


def test_what_a_rule_asks_about_is_not_widened() -> None:
    """A wider rule might not be narrower than the rule that asks, which would then ask again."""
    connection = Connection(flow=inbound(), attribution=SSHD)
    assert learn_rule(connection, parse_rule("ask 10.0.0.0/8 - -src"), 1.5)[1] == ()


def test_an_argument_that_looks_like_a_secret_is_in_no_proposed_rule() -> None:
    """Nor is a one-liner's rule for whatever its interpreter runs: it is for this start alone."""
    code = ("-c", "import urllib.request as r; r.urlopen('https://shop.test/?token=hunter2hunter2')")
    connection = connection_of(python(args=code, parents=("/usr/bin/bash",)))
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
