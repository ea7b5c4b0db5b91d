"""bounded_look.py: it returns what is found, and raises an OSError when nothing answers."""

import errno
import threading

import pytest

from tinysnitch.daemon.scheduling.bounded_look import BoundedLook
from tinysnitch.kernel.system import bounded_reader


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
