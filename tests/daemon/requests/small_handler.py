"""A request handler without an engine, and a control server that runs on it in a thread of its own."""

import asyncio
import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.lab.patience import WAIT_S
from tinysnitch.core.engine.commands import ClosePrompt
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.model.flow import TCP, Direction, Flow, parse_address
from tinysnitch.core.model.process import Attribution, AttributionSource, Process, uid_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.control.permissions import Permissions, Right
from tinysnitch.daemon.control.server import ControlServer
from tinysnitch.daemon.requests.handler import RequestHandler
from tinysnitch.daemon.requests.rule_permission import check_mode
from tinysnitch.daemon.requests.traffic_watch import Watcher
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import (
    BeatenRule,
    Explain,
    Explanation,
    ListEntry,
    Mode,
    ModeState,
    RuleEntry,
    RuleGroup,
    RuleSource,
    SetMode,
    Status,
    Traffic,
)

T = TypeVar("T")
ROOT, ALICE = Right(0, sees_all=True), Right(1000, sees_all=False)
HOSTILE = "a\n\x1b[31m\udcff'\x7f"


def make_process(**fields: object) -> Process:
    values: dict[str, object] = {
        "exec_id": 2**63 + 5,
        "pid": 4263,
        "started_ns": 1,
        "uid": 1000,
        "executable": "/usr/bin/curl",
        "device": 1,
        "inode": 2,
        "program": "/usr/bin/curl",
        "args": ("google.com",),
        "parents": ("/usr/bin/bash",),
    }
    return Process(**(values | fields))  # type: ignore[arg-type]


def make_connection(direction: Direction = Direction.OUTBOUND, **fields: object) -> Connection:
    flow = Flow(TCP, direction, parse_address("10.0.0.2"), 40516, parse_address("192.0.2.7"), 80)
    attribution = Attribution(AttributionSource.BPF, make_process(**fields))
    return Connection(flow=flow, attribution=attribution, name="google.com")


def make_prompt(prompt_id: int = 3, **fields: object) -> Prompt:
    return Prompt(
        prompt_id=prompt_id,
        connection=make_connection(**fields),  # type: ignore[arg-type]
        count=2,
        reason="no rule matches",
        opened_s=1_700_000_000.25,
        deadline_s=100.0,
        remaining_s=52.0,
    )


class Comers(Permissions):
    """Each client that connects gets the next of these rights, whatever the kernel says of it."""

    def __init__(self, *rights: Right | None) -> None:
        super().__init__()
        self._rights = iter(rights)

    def find(self, uid: int, gid: int) -> Right | None:
        return next(self._rights)


class SlowNames(Permissions):
    """The look-up of the first client lasts until the test ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Event()
        self._are_known = iter([False])

    def is_known(self, uid: int) -> bool:
        self._loop = threading.get_ident()
        return next(self._are_known, True)

    def find(self, uid: int, gid: int) -> Right | None:
        if threading.get_ident() != self._loop:  # the look-up's own
            assert self.may_end.wait(60)
        return Right(uid, sees_all=True)


class SmallHandler(RequestHandler):
    """Holds a few rules and prompts; the first answer to a prompt closes it."""

    def __init__(self) -> None:
        self.rules = ["allow google.com 443 tcp /usr/bin/curl"]
        self.grouped: list[tuple[str, str]] = []  # rules with their group
        self.numbers: dict[str, int] = {}
        self.netns = 7
        self.groups: tuple[RuleGroup, ...] = ()
        self.rule_errors: tuple[str, ...] = ()
        self.old_rules: list[str] | None = None  # that hold on, since those of the file wait for a list
        self.prompts = {3: make_prompt(3, args=(HOSTILE,))}
        self.history = [b'{"event":"lost","time":"t","what":"packets","count":%d}' % n for n in range(5)]
        self.lists: list[ListEntry] = []
        self.attached: dict[int, int] = {}
        self.watchers: dict[int, Watcher] = {}
        self.traffic: list[Traffic] = []  # what a client is told that begins to look
        self.mode = Verdict.ASK
        self.clients = self._clients = ControlClients()

    def status(self, right: Right) -> Status:
        return Status(
            pid=1,
            mode=Mode.BPF,
            netns=self.netns,
            cgroup="/sys/fs/cgroup",
            rules_file="/etc/tinysnitch.rules",
            uptime_s=3661.0,
            rules=len(self.rules),
            prompts=len(self.prompts),
            clients=self.clients.statistics().clients,
            hits=5,
            misses=6,
            losses={"history rows": 4},
            rule_errors=self.rule_errors,
            groups=self.groups,
        )

    def list_rules(self, right: Right, *, is_used: bool = False) -> list[RuleEntry]:
        temporary = RuleEntry("deny - 23 tcp", RuleSource.TEMPORARY, until=1_700_000_000.0)
        lasting = self.rules if self.old_rules is None else self.old_rules
        grouped = (
            RuleEntry(rule, RuleSource.FILE, group=name, note="why", number=self.numbers.get(rule))
            for name, rule in self.grouped
        )
        return [*(RuleEntry(rule, RuleSource.FILE) for rule in lasting), temporary, *grouped]

    def list_lists(self, right: Right) -> list[ListEntry]:
        return self.lists

    def add_rule(self, line: str, right: Right, group: str | None = None) -> str:
        if not line.startswith(("allow", "deny")):
            raise RuleSyntaxError("<argument>", 1, 1, "not a verdict", "write allow or deny")
        if group:
            self.grouped.append((group, line))
        else:
            self.rules.append(line)
        return line

    def move_rule(self, line: str, group: str | None, right: Right, _source: str | None = None) -> str:
        self.remove_rule(line, right)
        return self.add_rule(line, right, group)

    def switch_group(self, name: str, right: Right, *, is_on: bool) -> RuleGroup:
        self.groups = (RuleGroup(name, f"/etc/tinysnitch.d/{name}.rules{'' if is_on else '.off'}", is_on, int(is_on)),)
        return self.groups[0]

    def remove_rule(self, line: str, right: Right, _source: str | None = None) -> str:
        if line not in self.rules:
            raise SnitchError("there is no such rule", "see `tinysnitch rules`")
        self.rules = [rule for rule in self.rules if rule != line]
        return line

    def set_mode(self, request: SetMode, right: Right) -> ModeState:
        check_mode(right)
        was, self.mode = self.mode, request.mode
        learned = "/var/lib/x/learned.rules" if Verdict.ALLOW in (was, self.mode) else ""
        until = None if request.for_s is None else "2023-11-14T22:23:20.000Z"
        return ModeState(
            mode=self.mode, was=was, until=until, left_s=request.for_s, decided=len(self.prompts), learned_rules=learned
        )

    def list_asks(self, right: Right) -> list[Prompt]:
        return [ask for ask in self.prompts.values() if right.covers(uid_of(ask.connection.attribution))]

    def answer(self, prompt_id: int, answer: Choice | str, right: Right, together: int = 0) -> str:
        if self.prompts.pop(prompt_id, None) is None:
            raise SnitchError(f"question {prompt_id} is not open")
        self.clients.push_closed(ClosePrompt(prompt_id, "answered", right.uid, 1000))
        return answer if isinstance(answer, str) else f"{answer.verdict.value} {answer.lifetime.value}"

    def explain(self, question: Explain, right: Right) -> Explanation:
        if question.program == "shortage":
            raise OSError(errno.EMFILE, "Too many open files")
        if question.program == "bug":
            raise ZeroDivisionError
        beaten = (BeatenRule("deny - - -", "the winner is narrower"),)
        return Explanation(
            verdict=Verdict.ALLOW, reason="by a rule", rule=f"allow {question.remote} {question.port}", beaten=beaten
        )

    def read_history(self, limit: int, right: Right) -> list[bytes]:
        return self.history[-limit:]

    def attach(self, client_id: int, right: Right) -> None:
        self.attached[client_id] = right.uid

    def detach(self, client_id: int) -> None:
        del self.attached[client_id]

    def watch(self, peer: Watcher) -> None:
        self.watchers[peer.client_id] = peer
        for message in self.traffic:
            peer.push(encode_frame(message))

    def unwatch(self, client_id: int) -> None:
        self.watchers.pop(client_id, None)


class RunningServer:
    """The server in a thread with its own loop; `call` runs a function there and returns its result."""

    def __init__(self, path: Path, permissions: Permissions | None = None) -> None:
        self.path = path
        self.handler = SmallHandler()
        self.clients = self.handler.clients
        self.server = ControlServer(self.handler, permissions or Permissions(), self.clients)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(self.path), self._loop).result(60)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    def call(self, function: Callable[..., T], *args: object) -> T:
        async def run() -> T:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Poll inside the loop until it is so: there is nothing to await from another thread."""

        async def poll() -> None:
            async with asyncio.timeout(60):
                while not is_so():  # noqa: ASYNC110 - nothing there signals an event
                    await asyncio.sleep(0.001)

        asyncio.run_coroutine_threadsafe(poll(), self._loop).result(61)


@contextmanager
def running_server(path: Path, permissions: Permissions | None = None) -> Iterator[RunningServer]:
    running = RunningServer(path, permissions)
    running.start()
    try:
        yield running
    finally:
        running.close()
