"""Users without the right get exit code 4, and malformed messages on the control socket harm no other client."""

import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]

COMMANDS = [
    ("status",),
    ("rules", "list"),
    ("rules", "add", "allow - - -"),
    ("rules", "remove", "deny - 23 tcp"),
    ("log",),
    ("log", "--follow"),
    ("history",),
    ("names",),
    ("lists",),
    ("asks",),
    ("answer", "1", "yes"),
    ("pause",),
    ("resume",),
    ("mode", "deny"),
    ("explain", "/usr/bin/curl", "shop.test", "80", "tcp"),
    ("prompt",),
]
ROOTS_OWN = [
    ("tinysnitch", "run", "--", "true"),
    ("tinysnitchd",),
    ("tinysnitch-trace",),
    ("tinysnitch-iptables-add",),
    ("tinysnitch-iptables-remove",),
]
FRAMES = [
    b"x" * 1_000_000 + b"\n",
    b"\n",
    b"\x00\xff\n",
    b'{"type":"hello"\n',
    b'{"type":"no such thing"}\n',
    b"[" * 60_000 + b"\n",
    b'{"type":"hello","protocol":1,"version":"0"}\n' + b'{"type":"give_answer","prompt_id":"one"}\n',
]


@pytest.fixture(scope="module")
def daemon(_clean_machine: None) -> Iterator[Daemon]:
    with Lab() as lab:
        yield lab.start_daemon("deny - 23 tcp\n")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_another_user_is_refused(daemon: Daemon, words: tuple[str, ...]) -> None:
    check_refused(daemon.cli(*words, user="nobody"))
    assert daemon.read_rules() == "deny - 23 tcp\n"


def test_another_users_window_is_refused(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    session = lab.folder / "session"
    session.mkdir()
    session.chmod(0o777)
    # fontconfig complains on stderr if it cannot write its cache and root has not written one
    environment = ["env", "QT_QPA_PLATFORM=offscreen", f"XDG_RUNTIME_DIR={session}", f"XDG_CACHE_HOME={session}"]
    check_refused(
        lab.run([*environment, str(BIN / "tinysnitch-prompt"), "--socket", str(daemon.socket)], user="nobody")
    )


@pytest.mark.parametrize("words", ROOTS_OWN, ids=" ".join)
def test_what_only_root_may_is_refused(lab: Lab, words: tuple[str, ...]) -> None:
    check_refused(lab.run([str(BIN / words[0]), *words[1:]], user="nobody"))


def check_refused(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    problem, hint = done.stderr.splitlines()
    assert problem.startswith("tinysnitch: error: ")
    assert hint.startswith("tinysnitch: hint: ")


def test_without_a_daemon_the_exit_code_is_3(lab: Lab) -> None:
    told = lab.run([str(BIN / "tinysnitch"), "status", "--socket", str(lab.folder / "none")])
    assert told.returncode == 3
    assert told.stderr.startswith("tinysnitch: error: ")


def test_a_wrong_word_is_a_usage_error(lab: Lab) -> None:
    assert lab.run([str(BIN / "tinysnitch"), "stauts"]).returncode == 2
    assert lab.run([str(BIN / "tinysnitchd"), "--no-such-flag"]).returncode == 2


def send_frame(daemon: Daemon, frame: bytes) -> None:
    """Send the frame to the daemon, and read until it closes the connection or is silent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(0.5)
        client.connect(str(daemon.socket))
        try:
            client.sendall(frame)
            while client.recv(65536):
                pass
        except (TimeoutError, ConnectionError):
            return


def test_malformed_frames_do_no_harm_to_others(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    follower = lab.spawn_outside([str(BIN / "tinysnitch"), "log", "--socket", str(daemon.socket), "--follow", "--json"])
    curl = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    ask = daemon.wait_ask()
    for frame in FRAMES:
        send_frame(daemon, frame)
    assert [open_ask["id"] for open_ask in daemon.asks()] == [ask["id"]]
    daemon.answer(ask, "yes")
    assert curl.wait(timeout=WAIT_S) == 0
    read_until(follower, lambda said: '"event":"answer"' in said[-1])
    assert daemon.process.poll() is None
