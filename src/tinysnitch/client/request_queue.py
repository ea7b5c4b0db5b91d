"""What pages ask of the daemon: one after the other, in a thread that the end of the program does not wait for.

Each batch has a connection of its own, with the time limits of the commands. Those of the prompt are not used: a list
of thousands of rules would stand before an answer.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Lock, Thread
from typing import Generic, TypeVar

from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.messages import FromDaemon, Request

Outcome = tuple[FromDaemon, ...] | SnitchError
Post = Callable[[Callable[[], None]], None]
Asker = TypeVar("Asker")  # who asks, and is told


class RequestQueue(Generic[Asker]):
    def __init__(self, path: str, post: Post, tell: Callable[[Asker, Request, Outcome], None]) -> None:
        """`post` has a function called in the thread of the front end, where `tell` is to be called."""
        self._path = path
        self._post = post
        self._tell = tell
        self._asked: deque[tuple[Asker, tuple[Request, ...]]] = deque()
        self._lock = Lock()
        self._is_running = False

    @property
    def is_running(self) -> bool:
        """Whether something was asked that is not answered yet."""
        return self._is_running

    def ask(self, asker: Asker, requests: tuple[Request, ...]) -> None:
        """Have them carried out in order; none that follows a refused one."""
        if not requests:
            return
        with self._lock:
            self._asked.append((asker, requests))
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
                asker, requests = self._asked.popleft()
            for request, outcome in self._carry_out(requests):
                self._post(partial(self._tell, asker, request, outcome))

    def _carry_out(self, requests: tuple[Request, ...]) -> list[tuple[Request, Outcome]]:
        done: list[tuple[Request, Outcome]] = []
        try:
            with ControlClient(self._path) as client:
                for request in requests:
                    done.append((request, tuple(client.request(request))))
        except SnitchError as error:
            done.append((requests[len(done)], error))
        return done
