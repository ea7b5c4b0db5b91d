"""What all tests share: the lab, and a plain word where root is missing."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from time import monotonic  # by its own name: tests may set the clock of the module

import hypothesis
import pytest

from tests.daemon.small_desk import RunningServer, running_server
from tests.lab.lab import Lab
from tests.lab.leftovers import remove_stale
from tests.lab.patience import WAIT_S
from tinysnitch.client import user_names
from tinysnitch.daemon import user_ids

hypothesis.settings.register_profile("patient", deadline=None)  # a machine with other things to do may take its time
hypothesis.settings.load_profile("patient")
_USUAL_SIGNALS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
_BEGUN_S = pytest.StashKey[float]()
_KEPT_VARIABLES = ["HOME", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("privileged"):
            item.add_marker(pytest.mark.skip(reason="needs root: it makes network namespaces"))


@pytest.hookimpl(wrapper=True)
def _end_in_time(item: pytest.Item) -> Generator[None, object, object]:
    """One that hangs fails where it does, and what it has made is undone.

    What no exception ends is left to faulthandler, a little later, which ends the process with all that it has made.
    """
    limit_s, now_s = float(item.config.getini("faulthandler_timeout")), monotonic()
    left_s = item.stash.setdefault(_BEGUN_S, now_s) + 0.8 * limit_s - now_s
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, max(left_s, 0.1 * limit_s))
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


# Not while pytest itself works in between: that would be the end of all tests.
pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = _end_in_time


def _give_up(_number: int, _frame: object) -> None:
    pytest.fail("it hangs")


@pytest.fixture(scope="session", autouse=True)
def _usual_process() -> None:
    """What every program that a test starts inherits: of who starts the tests it has only what is needed.

    A script has what it starts in the background ignore SIGINT; a proxy, a git repository, the options of `make`, a
    screen, a language are others' business.
    """
    for number, usual in _USUAL_SIGNALS.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)
    for name in list(os.environ):
        if name not in _KEPT_VARIABLES and not name.startswith(("PY", "SSL_", "TINYSNITCH_LAB_")):
            del os.environ[name]
    os.environ["LANG"] = "C.UTF-8"
    user_names.PATIENCE_S = user_ids.MOMENT_S = WAIT_S  # the database of a busy machine answers, too


@pytest.fixture(scope="session")
def _clean_machine() -> None:
    remove_stale()


@pytest.fixture
def lab(_clean_machine: None) -> Iterator[Lab]:
    """A host and a world of its own for one test."""
    with Lab() as made:
        yield made


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningServer]:
    """A daemon without an engine."""
    with running_server(tmp_path / "socket") as server:
        yield server
