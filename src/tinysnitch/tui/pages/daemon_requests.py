"""What pages ask of the daemon: one after the other, in a thread that the end of the program does not wait for.

Each batch has a connection of its own, with the time limits of the commands. Those of the prompt are not used: a list
of thousands of rules would stand before an answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread

from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.messages import FromDaemon, Request
from tinysnitch.view.pages.list_page import ListPage, Requests

Outcome = tuple[FromDaemon, ...] | SnitchError
Tell = Callable[[ListPage, Request, Outcome], None]


class DaemonRequests:
    def __init__(self, path: str, tell: Tell) -> None:
        """`tell` is called in the loop in which `ask` was called."""
        self._path = path
        self._tell = tell
        self._asked: deque[tuple[ListPage, Requests, asyncio.AbstractEventLoop]] = deque()
        self._lock = Lock()
        self._is_running = False

    def ask(self, page: ListPage, requests: Requests) -> None:
        """Have them carried out in order; none that follows a refused one."""
        if not requests:
            return
        with self._lock:
            self._asked.append((page, requests, asyncio.get_running_loop()))
            if self._is_running:
                return
            self._is_running = True
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._asked:
                    self._is_running = False
                    return
                page, requests, loop = self._asked.popleft()
            for request, outcome in self._carry_out(requests):
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._tell, page, request, outcome)

    def _carry_out(self, requests: Requests) -> list[tuple[Request, Outcome]]:
        done: list[tuple[Request, Outcome]] = []
        try:
            with ControlClient(self._path) as client:
                for request in requests:
                    done.append((request, tuple(client.request(request))))
        except SnitchError as error:
            done.append((requests[len(done)], error))
        return done
