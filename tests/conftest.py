"""What all tests share: the `lab` fixture, a time limit for each test, a plain environment, and a skip without root."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from time import monotonic  # by its own name: tests may set the clock of the module

import hypothesis
import pytest

from tests.daemon.requests.small_handler import RunningServer, running_server
from tests.lab.lab import Lab
from tests.lab.leftovers import remove_stale
from tests.lab.patience import WAIT_S
from tinysnitch.client import user_names
from tinysnitch.daemon.rules import users as user_ids

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
    """Fail a test that hangs at the line where it hangs, so that its fixtures are still torn down.

    SIGALRM raises the failure once a test has used 0.8 of `faulthandler_timeout`, its set-up and teardown included;
    each of these phases gets at least a tenth. Code that an exception does not interrupt is left to faulthandler, which
    ends the whole process a little later.
    """
    limit_s, now_s = float(item.config.getini("faulthandler_timeout")), monotonic()
    left_s = item.stash.setdefault(_BEGUN_S, now_s) + 0.8 * limit_s - now_s
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, max(left_s, 0.1 * limit_s))
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


# The alarm is set for these phases only. If it fired in pytest's own code between them, it would end the whole session.
pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = _end_in_time


def _give_up(_number: int, _frame: object) -> None:
    pytest.fail("it hangs")


@pytest.fixture(scope="session", autouse=True)
def _usual_process() -> None:
    """Reset what the programs that tests start inherit: signals, umask and environment.

    Otherwise the results depend on who starts the tests: a shell script lets its background jobs ignore SIGINT, and the
    environment may name a proxy, a git repository, options of `make`, a display or a language.
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
    user_names.PATIENCE_S = user_ids.MOMENT_S = WAIT_S  # the user database may be slow to answer on a busy machine


@pytest.fixture(scope="session")
def _clean_machine() -> None:
    remove_stale()


@pytest.fixture
def lab(_clean_machine: None) -> Iterator[Lab]:
    """Two network namespaces for one test alone: the host, where the firewall runs, and the world outside."""
    with Lab() as made:
        yield made


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningServer]:
    """The server of a control socket, with no engine behind it."""
    with running_server(tmp_path / "socket") as server:
        yield server
