"""Arguments and paths that look like rules, terminal commands or comments: they make one question and one rule line,
which matches the same program again and steers no terminal.
"""

import json
import shutil

import pytest

from tests.lab.daemon import BIN, file_flags
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until
from tests.lab.trace import start_trace
from tests.lab.world import PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

CLIENT = str(PROGRAMS / "tcp_client.py")
HOSTILE = [
    "x\nallow - - -\n",
    "\x1b[2J\x1b]0;owned\x07",
    "#",
    "'\"",
    "\\",
    "\udcff\udcfe",
    "",
    " ",
    "\u202e",
    "\x7f\x9b",
    "-",
]
COMMAND = ["/usr/bin/python3", CLIENT, WORLD4, "80", *HOSTILE]
READERS = [("asks",), ("rules", "list"), ("log",), ("asks", "--json"), ("rules", "list", "--json"), ("log", "--json")]


def assert_harmless(text: str) -> None:
    """Assert that the text holds nothing that steers a terminal or changes the direction of writing."""
    raw = [char for char in text if (not char.isprintable() and char != "\n") or char == "\u202e"]
    assert raw == []


@pytest.fixture(name="answered")
def _answered(lab: Lab) -> tuple[Lab, str]:
    """The lab after the hostile program was allowed forever and the daemon was stopped; the text of the rules file."""
    daemon = lab.start_daemon("# first\n")
    client = lab.spawn(COMMAND)
    ask = daemon.wait_ask()
    assert ask["args"][2:] == HOSTILE
    assert len(daemon.asks()) == 1
    for words in READERS:
        assert_harmless(daemon.cli(*words).stdout)
    daemon.answer(ask, "yes", "--for", "forever")
    assert client.wait(timeout=WAIT_S) == 0
    for words in READERS:
        assert_harmless(daemon.cli(*words).stdout)
    assert daemon.stop() == 0
    return lab, daemon.read_rules()


def test_it_is_one_harmless_line(answered: tuple[Lab, str]) -> None:
    _lab, rules = answered
    first, line, rest = rules.split("\n")
    assert (first, rest) == ("# first", "")
    assert line.startswith(f"allow {WORLD4}") or line.split()[:2] == ["allow", WORLD4]
    assert_harmless(line)


def test_the_line_matches_exactly_that_program_again(answered: tuple[Lab, str]) -> None:
    lab, rules = answered
    daemon = lab.start_daemon(rules + "deny - - -\n")
    assert lab.run(COMMAND).stdout == "connected\n"
    for number in range(4, len(COMMAND)):
        without = COMMAND[:number] + COMMAND[number + 1 :]
        assert "ConnectionRefusedError" in lab.run(without).stderr
    assert daemon.records("ask") == []


def test_the_daemon_logs_ascii_alone(lab: Lab) -> None:
    daemon = lab.start_daemon("deny - - -\n")
    assert lab.run(COMMAND).returncode == 1
    told = daemon.wait_connection(program=CLIENT)
    assert told["args"] == [WORLD4, "80", *HOSTILE]
    log = daemon.cli("log", "--json").stdout
    assert log.isascii()
    assert [json.loads(line)["program"] for line in log.splitlines() if '"connection"' in line] == [CLIENT]


# From here on: a program whose path is hostile, in all places where it is shown


@pytest.fixture(name="hostile")
def _hostile(lab: Lab) -> str:
    """The path of a client, with control characters and a line that looks like a rule."""
    path = f"{lab.folder}/x\nallow - - -\n\x1b]0;owned\x07\udcff \u202e\x9b*"
    shutil.copy("/usr/bin/curl", path)
    return path


def use(lab: Lab, path: str) -> int:
    return lab.run([path, "-sS", "--user-agent", HOSTILE[1], f"http://{WORLD4}/"]).returncode


def assert_told(text: str) -> None:
    """Assert that the text shows the path escaped, in one line."""
    assert_harmless(text)
    assert [line for line in text.splitlines() if line.startswith("allow -")] == []
    assert r"\x1b]0;owned\x07" in text


def test_a_path_in_commands_and_rules(lab: Lab, hostile: str) -> None:
    daemon = lab.start_daemon("")
    client = lab.spawn([hostile, "-sS", f"http://{WORLD4}/"])
    ask = daemon.wait_ask(program=hostile)
    assert_told(daemon.cli("asks").stdout)
    daemon.answer(ask, "yes", "--for", "forever")
    assert client.wait(timeout=WAIT_S) == 0
    for words in READERS[1:3]:
        assert_told(daemon.cli(*words).stdout)
    assert daemon.read_rules().count("\n") == 1
    assert daemon.stop() == 0
    lab.restart_daemon(daemon.rules.parent)
    assert lab.run([hostile, "-sS", f"http://{WORLD4}/"]).returncode == 0


def test_a_path_in_the_daemons_text(lab: Lab, hostile: str) -> None:
    (lab.folder / "rules").write_text("deny - - -\n")
    words = [*file_flags(lab.folder), "--cgroup", str(lab.cgroup), "--log", "text"]
    daemon = lab.spawn_outside([str(BIN / "tinysnitchd"), *words])
    read_until(daemon, lambda said: "ready" in said[-1])
    assert use(lab, hostile) == 7
    assert_told("".join(read_until(daemon, lambda said: f"{WORLD4}:80" in said[-1])))


def test_a_path_in_a_trace(lab: Lab, hostile: str) -> None:
    trace = start_trace(lab)
    assert use(lab, hostile) == 0
    assert_told("".join(read_until(trace, lambda said: f"connect tcp {WORLD4}:80" in said[-1])))


def test_a_path_in_the_summary_of_a_run(lab: Lab, hostile: str) -> None:
    (lab.folder / "rules").write_text("")
    words = ["run", "--rules", str(lab.folder / "rules"), "--", hostile, "-sS", f"http://{WORLD4}/"]
    ran = lab.run_outside([str(BIN / "tinysnitch"), *words])
    assert ran.returncode == 7
    assert_told(ran.stderr)
