"""What fails unforeseen is counted each time, and told now and then."""

import pytest

from tinysnitch.daemon import failures
from tinysnitch.daemon.failures import Failures


def fail(what: str) -> None:
    raise RuntimeError(what)


def test_who_tries_knows_whether_it_was_done() -> None:
    done: list[str] = []
    some = Failures()
    assert some.attempt(done.append, "one")
    assert not some.attempt(fail, "two")
    assert (done, some.count) == (["one"], 1)


def test_whoever_makes_us_fail_does_not_fill_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    some = Failures()
    for _ in range(3):
        some.attempt(fail, "a bug")
    assert (some.count, len(caplog.records)) == (3, 1)
    assert "failed: fail" in caplog.text
    assert "a bug" in caplog.text
    monkeypatch.setattr(failures, "TRACEBACK_S", 0.0)
    for _ in range(2):
        Failures().attempt(fail, "another")
    assert len(caplog.records) == 3
    caplog.clear()


def test_an_end_is_no_failure() -> None:
    def end() -> None:
        raise KeyboardInterrupt

    some = Failures()
    with pytest.raises(KeyboardInterrupt):
        some.attempt(end)
    assert some.count == 0
