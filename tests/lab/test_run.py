"""`tinysnitch run -- COMMAND` judges that command and its children, and no other process."""

import shutil
import subprocess
import sys

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S, read_rest, read_until, write_line
from tests.lab.watched_lab import PYTHON
from tests.lab.world import ECHO_PORT, HOST4, PROGRAMS, WORLD4
from tinysnitch.kernel.resolver.name_services import BY_OLD_RESOLVED

pytestmark = [pytest.mark.privileged]

CLIENT = str(PROGRAMS / "tcp_client.py")
ASK_OVER_TCP = f"""
import socket
import dns.message, dns.query
answer = dns.query.tcp(dns.message.make_query("shop.test", "A"), "{WORLD4}", timeout=60)
socket.create_connection((answer.answer[0][0].address, 80))
"""


def run(lab: Lab, rules: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `tinysnitch run --rules FILE -- COMMAND` on the host."""
    (lab.folder / "run-rules").write_text(rules)
    words = [str(BIN / "tinysnitch"), "run", "--rules", str(lab.folder / "run-rules"), "--", *command]
    return lab.run_outside(words)


@pytest.mark.core_lab
def test_what_the_rules_allow_goes_through(lab: Lab) -> None:
    ran = run(lab, DNS_RULE + "allow shop.test 80 tcp\n", ["curl", "-4", "-sS", "http://shop.test/"])
    assert (ran.returncode, ran.stdout) == (0, "welcome to the shop\n"), ran.stderr
    assert "tinysnitch: allowed tcp shop.test:80 by /usr/bin/curl" in ran.stderr


def test_a_name_that_was_asked_for_over_tcp_is_known(lab: Lab) -> None:
    """Answers over TCP are read in the security table, as those over UDP are: after a daemon of the machine."""
    ran = run(lab, f"allow {WORLD4} 53 tcp\nallow shop.test 80 tcp\n", [sys.executable, "-c", ASK_OVER_TCP])
    assert ran.returncode == 0, ran.stderr


def test_what_no_rule_allows_is_refused_and_listed(lab: Lab) -> None:
    ran = run(lab, DNS_RULE, ["curl", "-4", "-sS", "http://shop.test/"])
    assert ran.returncode == 7
    assert "tinysnitch: refused tcp shop.test:80 by /usr/bin/curl" in ran.stderr


def test_the_summary_names_programs_in_full_where_there_is_no_terminal(lab: Lab) -> None:
    program = lab.folder / ("long" * 12) / "curl"
    program.parent.mkdir()
    shutil.copy2("/usr/bin/curl", program)
    ran = run(lab, "", [str(program), "-sS", f"http://{WORLD4}/"])
    assert ran.returncode == 7
    assert f" by {program}" in ran.stderr


def test_children_are_judged_and_the_status_is_the_commands(lab: Lab) -> None:
    script = f"curl -sS http://{WORLD4}/; (curl -sS http://{WORLD4}:8080/ & wait $!); exit 41"
    ran = run(lab, f"allow {WORLD4} 80 tcp\n", ["sh", "-c", script])
    assert ran.returncode == 41
    assert ran.stdout == "welcome to the shop\n"
    assert f"tinysnitch: refused tcp {WORLD4}:8080 by /usr/bin/curl" in ran.stderr


def start_run(lab: Lab, script: str) -> subprocess.Popen[str]:
    """Start `tinysnitch run` of a shell, with an empty rules file; `script` runs once the shell has read a line."""
    (lab.folder / "none").write_text("")
    words = [str(BIN / "tinysnitch"), "run", "--rules", str(lab.folder / "none"), "--", "sh", "-c"]
    judged = lab.spawn_outside([*words, f"echo started; read -r line; {script}"], stdin=subprocess.PIPE)
    read_until(judged, lambda said: said[-1] == "started\n")
    return judged


def test_others_in_the_namespace_are_not_judged(lab: Lab) -> None:
    judged = start_run(lab, "curl -sS http://10.77.0.1/")
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).stdout == "welcome to the shop\n"
    assert lab.run_outside([PYTHON, CLIENT, WORLD4, "80"]).stdout == "connected\n"
    judged.communicate("go\n", timeout=WAIT_S)
    assert judged.returncode == 7


TALK = """
import socket, sys
talking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talking.connect((sys.argv[1], int(sys.argv[2])))
talking.settimeout(20)
for line in sys.stdin:
    talking.send(line.encode())
    print(talking.recv(100).decode(), end="", flush=True)
"""


def test_what_comes_in_to_programs_from_before_is_not_judged(lab: Lab) -> None:
    """To an SSH server or a resolver on loopback, for example; nor are answers to what they sent."""
    outside = [*lab.namespaces.enter_host_outside(), PYTHON]
    lab.namespaces.start_server([*outside, str(PROGRAMS / "tcp_server.py"), "7330"], "listening")
    lab.namespaces.start_server([*outside, str(PROGRAMS / "udp_echo.py"), "7331"], "listening")
    talking = lab.spawn_outside([PYTHON, "-c", TALK, WORLD4, str(ECHO_PORT)], stdin=subprocess.PIPE)
    write_line(talking, "before")
    read_until(talking, lambda said: said == ["before\n"])
    judged = start_run(lab, "true")
    for visit, address in ((lab.run_world, HOST4), (lab.run_outside, "127.0.0.1")):
        assert visit([PYTHON, CLIENT, address, "7330"]).stdout == "connected\n"
        assert visit([PYTHON, str(PROGRAMS / "udp_client.py"), address, "7331", "20"]).stdout == "echo ping\n"
    assert talking.communicate("amid\n", timeout=WAIT_S)[0] == "amid\n"
    assert "no connection was tried" in judged.communicate("go\n", timeout=WAIT_S)[0]


def test_answers_to_others_are_not_judged_while_something_is_denied(lab: Lab) -> None:
    """While something is denied, all that leaves is checked once more, also what others send."""
    judged = start_run(lab, f"curl -sS http://{WORLD4}/; echo denied; read -r line")
    write_line(judged, "go")
    read_until(judged, lambda said: said[-1] == "denied\n")
    talking = lab.spawn_outside([PYTHON, "-c", TALK, WORLD4, str(ECHO_PORT)], stdin=subprocess.PIPE)
    assert talking.communicate("amid\n", timeout=WAIT_S)[0] == "amid\n"
    assert lab.run_outside(["curl", "-4", "-sS", "http://shop.test/"]).stdout == "welcome to the shop\n"
    assert " udp " not in judged.communicate("go\n", timeout=WAIT_S)[0]


# Makes it look as if systemd-resolved ran: nss-resolve asks it by this socket.
RESOLVED = "mount -t tmpfs run /run; mkdir -p /run/systemd/resolve; touch /run/systemd/resolve/io.systemd.Resolve"


@pytest.mark.parametrize("hosts", ["resolve [!UNAVAIL=return] files dns", "files dns"])
def test_that_names_are_asked_for_by_a_socket_is_said(lab: Lab, hosts: str) -> None:
    (lab.folder / "nsswitch.conf").write_text(f"hosts: {hosts}\n")
    command = ["unshare", "-m", "sh", "-ec", f'{RESOLVED}; exec "$@"', "sh", str(BIN / "tinysnitch"), "run"]
    ran = lab.run_outside([*command, "--rules", "/dev/null", "--", "true"])
    assert ran.returncode == 0, ran.stderr
    assert (BY_OLD_RESOLVED in ran.stderr) == ("resolve" in hosts), ran.stderr


# Runs the words with an /etc of their own, without a rules file; the mode is `rw` or `ro`.
ETC = """\
mount -t tmpfs none "$0"
mkdir "$0/upper" "$0/work"
cp /etc/resolv.conf "$0/upper/"
mount -t overlay none -o "lowerdir=/etc,upperdir=$0/upper,workdir=$0/work" /etc
rm -f /etc/tinysnitch.rules
mount -o "remount,bind,$1" /etc
shift
"$@"
test ! -e /etc/tinysnitch.rules
"""


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_without_a_rules_file_the_starter_set_holds_and_nothing_is_written(lab: Lab, mode: str) -> None:
    folder = lab.folder / "etc"
    folder.mkdir()
    words = ["unshare", "-m", "sh", "-ec", ETC, str(folder), mode, str(BIN / "tinysnitch"), "run", "--"]
    ran = lab.run_outside([*words, "sh", "-c", "dig +short +tries=1 shop.test; ! curl -4 -sS http://shop.test/"])
    assert ran.returncode == 0, ran.stderr
    assert "10.77.0.1" in ran.stdout
    assert "shop.test:80" in ran.stderr


# Gets a port without bind(): by listen(), by a sendto() that is refused, or by a connect() that has no route. `again`:
# before that a hook has seen another port, which the socket left. `wider`: a hook has seen the port for one address,
# and the socket then has it for all.
PORTS_WITHOUT_BIND = """
import ctypes, select, socket, sys
def send_and_disconnect(mine):
    mine.sendto(b"x", ("127.0.0.1", 9))
    assert not ctypes.CDLL(None).connect(mine.fileno(), bytes(16), 16)
    mine.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # clears the error of the refusal
def take_port(mine, kind, remote):
    if kind in ("listen", "mptcp"):
        mine.listen()
    elif kind == "sendto":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            try:
                while True:  # until the denial is remembered
                    other.sendto(b"x", (remote, 9))
            except OSError:
                pass
        mine.sendto(b"x", (remote, 9))
    elif kind == "wider":
        mine.bind(("", 7320))
        mine.connect(("127.0.0.1", 9))
        send_and_disconnect(mine)
    else:
        mine.connect((remote, 9))
for line in sys.stdin:
    kind, remote, patience_s = line.split()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind in ("listen", "mptcp") else socket.SOCK_DGRAM,
                       socket.IPPROTO_MPTCP if kind == "mptcp" else 0) as mine:
        if kind == "again":
            send_and_disconnect(mine)
        try:
            take_port(mine, kind, remote)
        except OSError as error:
            print(error, file=sys.stderr)
        print(mine.getsockname()[1], flush=True)
        sys.stdin.readline()  # somebody has visited the port
        print("got" if select.select([mine], [], [], float(patience_s))[0] else "nothing", flush=True)
"""
VISIT = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] in ("listen", "mptcp") else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as it:
    it.settimeout(float(sys.argv[3]))
    for _attempt in range(2):
        try:
            it.connect(("10.77.0.2", int(sys.argv[2])))
            it.send(b"x")
        except OSError as error:
            print(error)
"""


PORT_KINDS = {  # and a remote
    "listen": "-",
    "mptcp": "-",
    "sendto": WORLD4,
    "connect": "192.0.2.1",
    "again": "192.0.2.1",
    "wider": "127.0.0.1",
}


@pytest.mark.parametrize("is_allowed", [False, True])
def test_what_comes_to_a_port_that_no_hook_has_seen_is_judged(lab: Lab, is_allowed: bool) -> None:
    (lab.folder / "run-rules").write_text(f"deny {WORLD4} 9 udp\n" + ("allow - - -src\n" if is_allowed else ""))
    words = [str(BIN / "tinysnitch"), "run", "--rules", str(lab.folder / "run-rules"), "--"]
    judged = lab.spawn_outside([*words, "/usr/bin/python3", "-c", PORTS_WITHOUT_BIND], subprocess.PIPE)
    told = []
    for kind, remote in PORT_KINDS.items():
        write_line(judged, f"{kind} {remote} {WAIT_S if is_allowed else 0.5}")  # what is allowed must come
        port = read_until(judged, lambda said: said[-1].strip().isdigit())[-1].strip()
        visited = lab.run_world(["/usr/bin/python3", "-c", VISIT, kind, port, str(WAIT_S / 4 if is_allowed else 3)])
        write_line(judged)
        came = read_until(judged, lambda said: said[-1] in ("got\n", "nothing\n"))[-1]
        assert came == ("got\n" if is_allowed else "nothing\n"), f"{kind}: {visited.stdout}"
        protocol = "tcp" if kind in ("listen", "mptcp") else "udp"
        told.append(f"{'allowed' if is_allowed else 'refused'} {protocol} port {port} from {WORLD4} by")
    assert judged.stdin
    judged.stdin.close()
    judged.stdin = None
    summary = read_rest(judged)
    assert [line for line in told if line not in summary] == []


def test_learning_refuses_nothing_and_lists_what_was_tried(lab: Lab) -> None:
    words = [str(BIN / "tinysnitch"), "run", "--learn", "--", "curl", "-4", "-sS", "http://shop.test/"]
    ran = lab.run_outside(words)
    assert (ran.returncode, ran.stdout) == (0, "welcome to the shop\n"), ran.stderr
    assert "allowed tcp shop.test:80 by /usr/bin/curl: no rule matches\n" in ran.stderr


def test_what_was_learned_is_shown_as_the_rules_under_which_it_passes(lab: Lab) -> None:
    command = ["curl", "-4", "-sS", "http://shop.test/"]
    words = [str(BIN / "tinysnitch"), "run", "--learn", "--rules", "/dev/null", "--", *command]
    learned = lab.run_outside(words)
    _summary, rules = learned.stderr.split("tinysnitch: rules that would allow what no rule decided:\n")
    ran = run(lab, rules, command)
    assert (ran.returncode, ran.stdout) == (0, "welcome to the shop\n"), rules
    assert "what no rule decided" not in ran.stderr


def test_where_rules_decide_everything_nothing_is_learned(lab: Lab) -> None:
    (lab.folder / "run-rules").write_text("allow - - -\n")
    words = ["run", "--learn", "--rules", str(lab.folder / "run-rules"), "--", "curl", "-sS", f"http://{WORLD4}/"]
    ran = lab.run_outside([str(BIN / "tinysnitch"), *words])
    assert ran.stdout == "welcome to the shop\n"
    assert "as rules" not in ran.stderr


def test_what_nobody_answered_until_the_end_is_listed(lab: Lab) -> None:
    (lab.folder / "run-rules").write_text(DNS_RULE)
    words = [str(BIN / "tinysnitch"), "run", "--rules", str(lab.folder / "run-rules")]
    words += ["--socket", str(lab.folder / "run-socket"), "--"]  # so that it asks: someone could answer there
    script = "dig +short shop.test >/dev/null; exec curl -sS -m2 http://$0/"  # 2 s for the connection alone
    ran = lab.run_outside([*words, "sh", "-c", script, WORLD4])
    assert (ran.returncode, ran.stdout) == (28, "")
    assert "allowed udp " in ran.stderr
    assert "not answered tcp shop.test:80 by /usr/bin/curl\n" in ran.stderr


def test_a_run_leaves_nothing_behind(lab: Lab) -> None:
    def traces() -> str:
        commands = (
            "iptables-save | grep -v ^#",
            "ip6tables-save | grep -v ^#",
            "find /sys/fs/bpf",
            "find /run/tinysnitch",
        )
        return "".join(lab.run_outside(["sh", "-c", command]).stdout for command in commands)

    before = traces()
    run(lab, "", ["curl", "-sS", f"http://{WORLD4}/"])
    assert traces() == before
