import pwd
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import Never

import pytest

from tinysnitch.client import user_names
from tinysnitch.client.user_names import UserNames, find_user

_NEWCOMER = """
import time
from tinysnitch.client import user_names
user_names.LIFE_S = 0.001
assert user_names.find_user(54321) is None
with open("/etc/passwd", "a") as file:
    file.write("newcomer:x:54321:54321::/:/bin/sh\\n")
while (name := user_names.find_user(54321)) is None:
    time.sleep(0.001)
print(name)
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Thread]:
    """The threads of look-ups that were started, whether they have run yet or not."""
    threads: list[Thread] = []
    start = Thread.start
    monkeypatch.setattr(Thread, "start", lambda thread: threads.append(thread) or start(thread))
    return threads


def test_names_of_users() -> None:
    assert find_user(0) == "root"
    assert find_user(2**31 - 7) is None
    assert find_user(2**64) is None


def test_a_name_service_that_does_not_answer_keeps_no_question_waiting(
    monkeypatch: pytest.MonkeyPatch, started: list[Thread]
) -> None:
    """A name service may need the network, whose verdict may wait for this prompt. A known name is shown meanwhile."""
    answers, alice = Event(), pwd.getpwuid(0)

    def get_slowly(_uid: int) -> pwd.struct_passwd:
        answers.wait(60)
        return alice

    monkeypatch.setattr(user_names, "LIFE_S", 0.0)
    names = UserNames()
    assert names.find(0) == "root"
    monkeypatch.setattr(pwd, "getpwuid", get_slowly)
    monkeypatch.setattr(user_names, "PATIENCE_S", 0.05)
    started.clear()
    assert [names.find(uid) for uid in (0, 0, 1000, 1000)] == ["root", "root", None, None]
    assert len(started) == 2  # one look-up each, however often the screen is drawn
    monkeypatch.setattr(user_names, "LIFE_S", 60.0)
    answers.set()
    while names.find(1000) != "root":
        time.sleep(0.001)


def test_who_cannot_be_looked_up_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refuse)
    assert UserNames().find(0) is None


def test_only_so_many_are_looked_up_at_once(monkeypatch: pytest.MonkeyPatch, started: list[Thread]) -> None:
    answers, nobody = Event(), KeyError("no such user")

    def get_slowly(_uid: int) -> Never:
        answers.wait(60)
        raise nobody

    monkeypatch.setattr(pwd, "getpwuid", get_slowly)
    monkeypatch.setattr(user_names, "PATIENCE_S", 0.0)
    names = UserNames()
    for uid in range(100):
        names.find(uid)
    assert len(started) == user_names.MAX_LOOKUPS
    answers.set()


@pytest.mark.privileged
def test_who_comes_later_is_known_a_while_later(tmp_path: Path) -> None:
    """In a user database of the test: the machine's is not touched."""
    (tmp_path / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    script = 'mount --bind "$0" /etc/passwd && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, str(tmp_path / "passwd"), sys.executable, "-c", _NEWCOMER]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "newcomer\n"
