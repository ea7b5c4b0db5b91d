""""""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.lab.patience import WAIT_S, wait_until
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.text import parse_rule
from tinysnitch.daemon.scheduling.offload import BoundedLook, BoundedWriter, do_beside
from tinysnitch.kernel.system import bounded_reader
from tinysnitch.store.locks import LockHeld, locked
from tinysnitch.store.rules_file import RulesFile


def test_the_result_is_told_in_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[int | None]:
        told: asyncio.Queue[int | None] = asyncio.Queue()
        do_beside(lambda: 7, told.put_nowait)
        first = await told.get()
        do_beside(lambda: 1 // 0, told.put_nowait)
        return [first, await told.get()]

    assert asyncio.run(run()) == [7, None]
    assert "ZeroDivisionError" in caplog.text


def fail() -> str:
    raise FileNotFoundError(errno.ENOENT, "No such file or directory")


def test_what_is_found_comes_back() -> None:
    look = BoundedLook()
    assert look.do(lambda: "found") == "found"
    with pytest.raises(FileNotFoundError):
        look.do(fail)


def test_what_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_reader, "PAUSE_S", 0.0)  # however long that took
    look, over = BoundedLook(), threading.Event()
    with pytest.raises(OSError, match="does not answer") as silent:
        look.do(over.wait)
    assert silent.value.strerror == "it does not answer"
    assert look.do(lambda: "found") == "found"
    over.set()


PLACE = Path("/etc/rules")
STOPPED = """
import os, signal, time
from pathlib import Path
from tinysnitch.daemon.scheduling.offload import BoundedWriter
def change():
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.05)
    return "made"
print(BoundedWriter(patience_s=2.0).do(Path("/etc/rules"), change))
"""


def test_a_change_is_made_and_tells_what_it_told() -> None:
    writer = BoundedWriter()
    assert (writer.do(PLACE, lambda: "one"), writer.do(PLACE, lambda: "two")) == ("one", "two")


def test_what_a_change_raises_is_raised() -> None:
    def fail() -> None:
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        BoundedWriter().do(PLACE, fail)


def test_one_that_waits_goes_on_alone() -> None:
    writer, end, made = BoundedWriter(patience_s=0.05), threading.Event(), list[str]()

    def wait() -> None:
        end.wait()
        made.append("late")

    with pytest.raises(SnitchError, match=r"^/etc/rules: its folder does not answer$") as late:
        writer.do(PLACE, wait)
    assert late.value.hint == "the change is made as soon as it does"
    with pytest.raises(SnitchError, match="an earlier change still waits") as refused:
        writer.do(PLACE, lambda: made.append("never"))
    assert refused.value.hint
    assert made == []
    end.set()
    wait_until(lambda: made)
    writer._patience_s = WAIT_S

    def change() -> bool:
        try:
            writer.do(PLACE, lambda: made.append("next"))
        except SnitchError:
            return False
        return True

    wait_until(change)
    assert made == ["late", "next"]


@pytest.mark.slow
def test_that_we_had_no_processor_for_longer_than_that_is_no_reason_to_give_up() -> None:
    child = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
    time.sleep(2.2)
    child.send_signal(signal.SIGCONT)
    assert child.communicate(timeout=WAIT_S)[0] == "made\n"


def test_who_holds_the_lock_of_the_file_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("")
    with locked(path), pytest.raises(LockHeld):
        RulesFile(path, BoundedWriter().do).append(parse_rule("allow - 443 tcp"))


def test_where_no_thread_can_be_had_it_is_made_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert BoundedWriter().do(PLACE, lambda: "made") == "made"
