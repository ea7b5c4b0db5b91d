"""A person at a prompt who types the same keys at every question: what they are asked, and how many keys that takes.

Keys go through the state that all prompts share, with its guard. Nobody waits: the prompt's clock is put ahead by what
a person would take to read, and to release a key.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from select import select
from socket import SHUT_RDWR
from typing import NamedTuple

from tests.lab.patience import WAIT_S
from tinysnitch.client.knock import connect_at_once
from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.client.user_names import find_user
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.flow import Direction, format_address, format_protocol
from tinysnitch.core.model.process import program_of
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.view.key_guard import DELAY_S, HELD_FIRST_S
from tinysnitch.view.keys import find_key
from tinysnitch.view.prompt_events import Answers, Event, KeyPressed
from tinysnitch.view.prompt_state import PromptState

FOREVER = "Y" if find_key("Y") else "fy"  # the keys that answer a question as proposed, forever
READ_S = 0.03  # in which nobody reads a question
ATTEMPTS = 3  # answers to one question: an answer that the daemon refuses brings it back
_CODE = ("-c", "-e", "-m")  # the next argument is the program: of Python, a shell, perl, node


class Asked(NamedTuple):
    """A question that was in sight, as a person would tell it from another one."""

    program: str  # with the arguments where these are the program
    remote: str
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.program} {self.remote}:{self.port} {self.protocol}"


class ScriptedPerson:
    def __init__(self, socket_path: Path, keys: str) -> None:
        self.asked: list[Asked] = []  # in the order in which they were answered
        self._keys = keys
        self._state = PromptState(DELAY_S)
        self._client = PromptClient(socket_path, find_user)
        self._ahead_s = 0.0  # of this prompt's clock
        self._attempts: dict[int, int] = {}
        connection = connect_at_once(socket_path)
        assert connection, "the daemon has too many clients"
        connection.settimeout(None)
        self._socket = connection
        self._thread = ThreadPoolExecutor(1)
        self._work = self._thread.submit(self._attend)

    def leave(self) -> None:
        """Detach. Raises what went wrong."""
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)
        self._work.result(WAIT_S)
        self._socket.close()
        self._thread.shutdown()

    def _attend(self) -> None:
        with suppress(SnitchError, BrokenPipeError):  # the connection has ended
            while True:
                for event in self._client.receive(self._socket.recv(65536), time.clock_gettime(time.CLOCK_BOOTTIME)):
                    self._tell(event)
                self._send()
                while self._state.selected and not self._client.is_answering and not self._has_news():
                    self._answer(self._state.selected.prompt)

    def _has_news(self) -> bool:
        """Whether more comes before anybody could have read the question. An answer closes others, too."""
        return bool(select([self._socket], [], [], READ_S)[0])

    def _answer(self, prompt: Prompt) -> None:
        attempts = self._attempts[prompt.prompt_id] = self._attempts.get(prompt.prompt_id, 0) + 1
        assert attempts <= ATTEMPTS, f"{tell(prompt)} does not take the answer: {self._state.notice}"
        self._ahead_s += HELD_FIRST_S
        self._state.guard.note_painted(self._now())
        self._ahead_s += DELAY_S
        self._state.guard.note_awake(self._now())
        for key in self._keys:
            self._tell(KeyPressed(key))
        assert self._state.selected is None or self._state.selected.prompt is not prompt, f"{self._keys} is no answer"
        self.asked.append(tell(prompt))

    def _tell(self, event: Event) -> None:
        now = self._now()
        self._state.note_clocks(now, wall_s=time.time(), boot_s=now)
        effect = self._state.handle(event, now)
        if isinstance(effect, Answers):
            for news in self._client.answer(effect):
                self._tell(news)
            self._send()

    def _send(self) -> None:
        self._socket.sendall(self._client.unsent)
        self._client.unsent.clear()

    def _now(self) -> float:
        return time.monotonic() + self._ahead_s


def tell(prompt: Prompt) -> Asked:
    flow, process = prompt.connection.flow, prompt.connection.attribution.process
    program = program_of(prompt.connection.attribution)
    if process and process.args and process.args[0] in _CODE:
        program = " ".join((program, *process.args))
    inbound = "-src" if flow.direction is Direction.INBOUND else ""
    remote = prompt.connection.name or format_address(flow.remote)
    return Asked(program, remote, flow.port, f"{format_protocol(flow.protocol)}{inbound}")


def find_needless(asked: list[Asked]) -> list[Asked]:
    """Those that were answered before."""
    return [one for place, one in enumerate(asked) if one in asked[:place]]
