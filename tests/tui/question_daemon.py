"""A daemon with questions and without packets: the real control server over a request handler that a test holds."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tinysnitch.core.engine.commands import ClosePrompt
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.changes import Change
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.control.permissions import Permissions, Right
from tinysnitch.daemon.control.server import ControlServer
from tinysnitch.daemon.requests.handler import RequestHandler
from tinysnitch.daemon.requests.traffic_watch import Watcher
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.log_lines import ConnectionLine
from tinysnitch.protocol.messages import Mode, RuleEntry, Status, TrafficEntry, TrafficTold, Undone, change_entry

RULE = "allow shop.test 443 tcp /usr/bin/curl"


class PlayedUndo:
    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.taken_back: list[int | None] = []

    def list_changes(self, _right: Right) -> list[Change]:
        return self.changes

    def take_back(self, number: int | None, _right: Right) -> Undone:
        self.taken_back.append(number)
        entry = change_entry(self.changes.pop())
        return Undone(change=entry, removed=entry.written, put_back=entry.removed)


class QuestionDaemon(RequestHandler):
    def __init__(self, permissions: Permissions | None = None) -> None:
        self.clients = self._clients = ControlClients()
        self.server = ControlServer(self, permissions or Permissions(), self.clients)
        self.prompts: dict[int, Prompt] = {}
        self.answers: asyncio.Queue[tuple[int, Choice]] = asyncio.Queue()
        self.lines: asyncio.Queue[tuple[int, str]] = asyncio.Queue()  # answers written by hand
        self.attached = asyncio.Event()
        self.kept: list[int] = []  # of which a person was at it, as told
        self.changes: list[tuple[str, str]] = []  # of rules, that answered no question
        self.rules: list[RuleEntry] = []
        self.read_count = 0  # how often they were asked for
        self._undo = self.undo = PlayedUndo()  # type: ignore[assignment]
        self.watchers: dict[int, Watcher] = {}
        self.refusal = ""  # if set, the next answers are refused with this reason
        self.unsaved = ""  # why the rules of the next answers can't be saved

    def open(self, prompt: Prompt) -> None:
        self.prompts[prompt.prompt_id] = prompt
        self.clients.push_prompt(prompt)

    def close(self, prompt_id: int, reason: str = "nobody answered", by_uid: int | None = None) -> None:
        del self.prompts[prompt_id]
        self.clients.push_closed(ClosePrompt(prompt_id, reason, by_uid))

    def tell(self, line: ConnectionLine) -> None:
        """To who follows the log."""
        self.clients.push_record(msgspec.json.encode(line) + b"\n", None)

    # what the control server asks

    def status(self, right: Right) -> Status:
        return Status(
            cgroup="/sys/fs/cgroup",
            pid=1, mode=Mode.BPF, netns=1, rules_file="", uptime_s=0.0, rules=2, prompts=len(self.prompts), clients=1,
            hits=0, misses=0,
        )  # fmt: skip

    def attach(self, client_id: int, right: Right) -> None:
        self.attached.set()
        for prompt in self.prompts.values():
            self.clients.push_prompt(prompt)

    def detach(self, client_id: int) -> None:
        self.attached.clear()

    def answer(self, prompt_id: int, answer: Choice | str, right: Right, together: int = 0) -> str:
        if self.refusal:
            raise SnitchError(self.refusal)
        if isinstance(answer, Choice):
            self.answers.put_nowait((prompt_id, answer))
        else:
            self.lines.put_nowait((prompt_id, answer))
        if self.unsaved:
            self.clients.push_unsaved(SnitchError(self.unsaved))
        self.close(prompt_id, "answered", right.uid)
        return RULE

    def keep_open(self, prompt_id: int, right: Right) -> None:
        self.kept.append(prompt_id)

    def list_asks(self, right: Right) -> list[Prompt]:
        return list(self.prompts.values())

    def read_history(self, limit: int, right: Right) -> list[bytes]:
        return []

    def watch(self, peer: Watcher) -> None:
        self.watchers[peer.client_id] = peer

    def unwatch(self, client_id: int) -> None:
        self.watchers.pop(client_id, None)

    def count(self, *entries: TrafficEntry) -> None:
        """To who looks at the traffic."""
        for watcher in self.watchers.values():
            for message in (*entries, TrafficTold(time.time())):
                watcher.push(encode_frame(message))

    def list_rules(self, right: Right, *, is_used: bool = False) -> Iterator[RuleEntry]:
        self.read_count += 1
        return iter(self.rules)

    def add_rule(self, line: str, right: Right, group: str | None = None) -> str:
        self.changes.append(("added", line))
        return line

    def remove_rule(self, line: str, right: Right, _source: str | None = None) -> str:
        self.changes.append(("removed", line))
        return line


@asynccontextmanager
async def question_daemon(path: Path, permissions: Permissions | None = None) -> AsyncIterator[QuestionDaemon]:
    daemon = QuestionDaemon(permissions)
    await daemon.server.start(path)
    try:
        yield daemon
    finally:
        await daemon.server.close()
