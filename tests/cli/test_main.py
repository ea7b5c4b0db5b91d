"""Exit codes and the form of errors; with the real program, where it matters how that ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tests.lab.patience import read_line
from tinysnitch.cli.main import tinysnitch

PROGRAM = [sys.executable, "-c", "from tinysnitch.cli.main import main; main()"]
ALL = ["status", "rules", "log", "asks", "answer", "explain", "prompt"]
NEEDS_DAEMON = [
    ("status",),
    ("rules",),
    ("rules", "list"),
    ("rules", "add", "allow - - -"),
    ("rules", "remove", "allow - - -"),
    ("log",),
    ("asks",),
    ("answer", "1", "yes"),
    ("explain", "/usr/bin/curl", "google.com", "443", "tcp"),
]


@pytest.mark.parametrize("words", NEEDS_DAEMON, ids=" ".join)
def test_without_a_daemon_it_is_3(command: Command, words: tuple[str, ...]) -> None:
    code, out, err = command(*words)
    assert (code, out) == (3, "")
    error, hint = err.splitlines()
    assert error.startswith("tinysnitch: error: no daemon listens on ")
    assert hint.startswith("tinysnitch: hint: start tinysnitchd")


def test_an_empty_socket_is_2(command: Command) -> None:
    code, out, err = command.plain("asks", "--socket", "")
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == "tinysnitch: error: invalid value for '--socket': the path is empty"


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ("stauts", "there is no command 'stauts'", "did you mean `tinysnitch status`?"),
        ("rules chekc", "there is no command 'chekc'", "did you mean `tinysnitch rules check`?"),
        ("zzz", "there is no command 'zzz'", "write one of: status, rules, lists, log"),
        ("status --no-such", "no such option '--no-such'", "see `tinysnitch status --help`"),
        (
            "--socket /x status",
            "no such option '--socket'",
            "write it after the command: `tinysnitch status --socket`",
        ),
        ("rules --no-such", "no such option '--no-such'", "see `tinysnitch rules --help`"),
        ("status more", "got unexpected extra argument", "see `tinysnitch status --help`"),
        ("answer", "missing argument 'ID'", "see `tinysnitch answer --help`"),
        ("answer one yes", "invalid value for 'ID'", "see `tinysnitch answer --help`"),
        ("answer 1 perhaps", "invalid value for 'yes|no'", "see"),
        ("answer 1 yes --for 2m", "invalid value for '--for'", "see"),
        ("answer 1 yes --domain --any-remote", "--domain and --any-remote cannot be combined", "see"),
        ("explain a b 70000 tcp", "invalid value for 'PORT'", "see"),
        (f"explain a b {'9' * 5000} tcp", "invalid value for 'PORT': '99999999999999999999' is not a port", "see"),
        ("log --lines -1", "invalid value for '--lines'", "see"),
    ],
)
def test_wrong_words_are_2(command: Command, words: str, error: str, hint: str) -> None:
    code, out, err = command.plain(*words.split())
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith(f"tinysnitch: error: {error}")
    assert second.startswith(f"tinysnitch: hint: {hint}")


@pytest.mark.parametrize("words", [[], *([name] for name in ALL), *(["rules", n] for n in ("list", "check", "add"))])
def test_every_help_ends_with_examples(command: Command, words: list[str]) -> None:
    code, out, _err = command.plain(*words, "--help")
    assert code == 0
    last = out.split("Examples:\n")[1].splitlines()
    assert last
    assert all(line.startswith("    tinysnitch ") for line in last)
    assert max(map(len, out.splitlines())) < 80
    assert command.plain(*words, "-h") == (0, out, "")


def test_every_command_takes_a_socket_and_every_list_json() -> None:
    for name in ALL:
        found = tinysnitch.get_command(None, name)  # type: ignore[arg-type]
        assert found is not None
        options = {option for parameter in found.params for option in parameter.opts}
        assert "--socket" in options
        assert ("--json" in options) == (name not in ("answer", "prompt"))


def test_hostile_words_do_not_reach_the_terminal(command: Command) -> None:
    assert command.plain("\x1b[31m").err.splitlines()[0] == r"tinysnitch: error: there is no command '\x1b[31m'"


def test_the_version(command: Command) -> None:
    assert command.plain("--version").out == "tinysnitch 0.1.0\n"


def start(running: RunningServer, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*PROGRAM, *words, "--socket", str(running.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": "src", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        cwd=Path(__file__).parents[2],
    )


def test_a_follower_is_told_at_once_and_ctrl_c_ends_it_quietly(running: RunningServer) -> None:
    with start(running, "log", "--follow", "--lines", "1", "--json") as follower:
        assert json.loads(read_line(follower))["count"] == 4
        running.call(running.clients.push_record, b'{"event":"lost","time":"t","what":"x","count":5}', None)
        assert json.loads(read_line(follower))["count"] == 5
        follower.send_signal(signal.SIGINT)
        assert follower.communicate(timeout=60)[1].strip() == ""  # click ends the line that the terminal shows as ^C
    assert follower.returncode == 130


def test_a_follower_ends_with_its_reader_although_nothing_more_happens(running: RunningServer) -> None:
    """`tinysnitch log --follow | grep -m 1 curl` must not wait for one more line."""
    with start(running, "log", "--follow", "--lines", "1", "--json") as follower:
        assert json.loads(read_line(follower))["count"] == 4
        assert follower.stdout is not None
        follower.stdout.close()
        assert follower.wait(timeout=60) == 1
        assert follower.stderr is not None
        assert follower.stderr.read() == ""


def test_a_follower_without_standard_output_says_so_at_once(running: RunningServer) -> None:
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "log", "--follow", "--lines", "0"]
    done = subprocess.run([*closed, "--socket", str(running.path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "tinysnitch: error: cannot write: standard output is closed",
    )


def test_a_reader_that_leaves_is_no_failure_to_speak_of(running: RunningServer) -> None:
    running.handler.history = running.handler.history * 1000
    with start(running, "log", "--lines", "5000") as reader:
        assert reader.stdout is not None
        assert read_line(reader) == "t WARNING lost 0 packets\n"
        reader.stdout.close()
        assert reader.stderr is not None
        assert reader.stderr.read() == ""
    assert reader.returncode == 1


def test_a_full_disk_is_told(running: RunningServer) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "rules", "--socket", str(running.path)], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("tinysnitch: error: cannot write: No space left on device\ntinysnitch: hint: ")


@pytest.mark.parametrize("words", ["status --help", "--version"])
def test_a_full_disk_has_no_room_for_help_either(words: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PROGRAM, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("tinysnitch: error: cannot write: No space left on device\ntinysnitch: hint: ")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("words", ["status", "status --json", "rules", "log", "asks", "rules check /dev/null"])
def test_a_closed_output_is_told(running: RunningServer, words: str) -> None:
    line = f'"$0" -c "$1" {words} --socket {running.path} >&-'
    done = subprocess.run(["sh", "-c", line, PROGRAM[0], PROGRAM[2]], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("tinysnitch: error: cannot write: standard output is closed\ntinysnitch: hint: ")
    assert len(done.stderr.splitlines()) == 2


def test_an_error_that_cannot_be_told_is_no_data(tmp_path: Path) -> None:
    line = f'"$0" -c "$1" status --socket {tmp_path}/none 2>&-'
    done = subprocess.run(["sh", "-c", line, PROGRAM[0], PROGRAM[2]], stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (3, "")


def test_a_poor_locale_stops_nothing(running: RunningServer) -> None:
    running.handler.rules = ["allow - - - /usr/bin/日本"]
    with start(running, "rules") as listing:
        out, err = listing.communicate(timeout=60)
    assert (listing.returncode, err) == (0, "")
    assert out.splitlines()[0] == r"allow - - - /usr/bin/\u65e5\u672c"
