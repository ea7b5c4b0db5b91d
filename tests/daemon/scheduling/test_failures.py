"""Each unforeseen failure is counted, and one a second is logged."""

import errno

import pytest

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import SHORTAGE_HINT, SnitchError
from tinysnitch.daemon.scheduling.failures import TRACEBACK_S, Failures


def fail(what: str) -> None:
    raise RuntimeError(what)


def test_who_tries_knows_whether_it_was_done() -> None:
    done: list[str] = []
    some = Failures()
    assert some.attempt(done.append, "one")
    assert not some.attempt(fail, "two")
    assert (done, some.count) == (["one"], 1)


def test_whoever_makes_us_fail_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    moments = [Instant(5.0, 0.0), Instant(5.5, 0.0), Instant(5.0 + TRACEBACK_S, 0.0)]
    some = Failures(iter(moments).__next__)
    some.attempt(fail, "a bug")
    some.attempt(fail, "a bug")
    assert (some.count, len(caplog.records)) == (2, 1)
    assert "failed: fail" in caplog.text
    assert "a bug" in caplog.text
    assert caplog.records[0].exc_info, "its traceback tells where"
    some.attempt(fail, "another")
    assert (some.count, len(caplog.records)) == (3, 2)
    caplog.clear()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "[Errno 24] Too many open files"),
        (MemoryError(), "too little memory"),
    ],
)
def test_a_shortage_is_told_in_a_line(caplog: pytest.LogCaptureFixture, error: Exception, told: str) -> None:
    def open_one() -> None:
        raise error

    some = Failures()
    some.attempt(open_one)
    assert caplog.messages == [f"failed: open_one: {told}"]
    assert (some.count, some.last, some.hint, caplog.records[0].exc_info) == (1, told, SHORTAGE_HINT, None)
    caplog.clear()


def test_what_the_kernel_refuses_is_told_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    def write() -> None:
        raise SnitchError("writing verdicts: Cannot allocate memory", "`tinysnitch-trace` checks that")

    some = Failures()
    some.attempt(write)
    assert caplog.messages == ["failed: write: writing verdicts: Cannot allocate memory"]
    assert (caplog.records[0].exc_info, some.hint) == (None, "`tinysnitch-trace` checks that")
    caplog.clear()


def test_an_end_is_no_failure() -> None:
    def end() -> None:
        raise KeyboardInterrupt

    some = Failures()
    with pytest.raises(KeyboardInterrupt):
        some.attempt(end)
    assert some.count == 0
