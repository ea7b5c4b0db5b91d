import queue
from collections.abc import Callable
from pathlib import Path

from tests.daemon.requests.small_handler import running_server
from tinysnitch.client.request_queue import Outcome, RequestQueue
from tinysnitch.core.model.errors import DaemonNotRunning, SnitchError
from tinysnitch.protocol.messages import AddRule, ListRules, RemoveRule, Request, RuleEntry, RuleWritten

WAIT_S = 60.0


class Screen:
    """A front end whose own thread is the test's."""

    def __init__(self, path: Path) -> None:
        self._posted: queue.Queue[Callable[[], None]] = queue.Queue()
        self.told: list[tuple[str, Request, Outcome]] = []
        self.queue = RequestQueue[str](str(path), self._post, lambda *told: self.told.append(told))

    def _post(self, act: Callable[[], None]) -> None:
        assert self.queue.is_running
        self._posted.put(act)

    def see(self, count: int) -> None:
        while len(self.told) < count:
            self._posted.get(timeout=WAIT_S)()


def test_requests_are_carried_out_in_order_and_their_asker_is_told(tmp_path: Path) -> None:
    with running_server(tmp_path / "s") as running:
        screen = Screen(running.path)
        screen.queue.ask("nobody", ())
        assert not screen.queue.is_running
        screen.queue.ask("rules", (AddRule("allow - - -"), ListRules()))
        screen.queue.ask("live", (RemoveRule("allow - - -"),))
        screen.see(3)
    assert [asker for asker, _request, _outcome in screen.told] == ["rules", "rules", "live"]
    (_, _, written), (_, _, listed), (_, _, removed) = screen.told
    assert isinstance(listed, tuple)
    assert isinstance(written, tuple)
    assert written[0] == removed[0] == RuleWritten("allow - - -")  # type: ignore[index]
    assert any(isinstance(entry, RuleEntry) and entry.rule == "allow - - -" for entry in listed)


def test_nothing_follows_what_was_refused(tmp_path: Path) -> None:
    with running_server(tmp_path / "s") as running:
        screen = Screen(running.path)
        screen.queue.ask("rules", (RemoveRule("deny no.such - -"), AddRule("allow - - -")))
        screen.queue.ask("rules", (ListRules(),))
        screen.see(2)
    assert isinstance(screen.told[0][2], SnitchError)
    assert screen.told[1][1] == ListRules()
    assert running.handler.rules == ["allow google.com 443 tcp /usr/bin/curl"]


def test_without_a_daemon_that_is_told(tmp_path: Path) -> None:
    screen = Screen(tmp_path / "none")
    screen.queue.ask("rules", (ListRules(), ListRules()))
    screen.see(1)
    assert isinstance(screen.told[0][2], DaemonNotRunning)
