"""Sample questions without a daemon, to check that the window works here, and to take pictures of it."""

import itertools
import time
from collections.abc import Callable

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.past import Past
from tinysnitch.core.model.process import UNKNOWN, Attribution, AttributionSource, Process, ProgramFile
from tinysnitch.core.prompts.catalogue import Catalogue
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.prompts.proposal import propose
from tinysnitch.view.prompt_events import Answers, DaemonGreeted, Event, QuestionClosed, QuestionOpened, ToDaemon

TIME_S = 60.0
_HERE = parse_address("192.0.2.10")
_CURL = Process(
    exec_id=1,
    pid=4242,
    started_ns=1,
    uid=1000,
    executable="/usr/bin/curl",
    device=1,
    inode=1,
    program="/usr/bin/curl",
    args=("-sS", "https://www.example.com/news"),
    parents=("/usr/bin/bash", "/usr/bin/tmux", "/usr/lib/systemd/systemd"),
    owners=("unit:user@1000.service",),
)
_SYNC = msgspec.structs.replace(
    _CURL,
    exec_id=2,
    program="/tmp/.cache/sync.py",
    executable="/usr/bin/python3.13",
    args=("--quiet",),
    run_by="/usr/bin/python3.13",
    warnings=("runs from /tmp", "started with LD_PRELOAD"),
)
_SSHD = msgspec.structs.replace(
    _CURL, exec_id=3, uid=0, program="/usr/sbin/sshd", args=("-D",), owners=("unit:ssh.service",)
)
_HOSTILE = msgspec.structs.replace(_CURL, exec_id=4, args=("--data", "<b>a</b>" + "x" * 3984 + "the end"))
_ONE_LINER = msgspec.structs.replace(
    _CURL,
    exec_id=5,
    program="/usr/bin/python3.13",
    executable="/usr/bin/python3.13",
    args=("-c", "from urllib.request import urlopen; print(urlopen('https://api.example.com/status').status)"),
)


def _outbound(process: Process, name: str, address: str, *other_names: str) -> Connection:
    flow = Flow(TCP, Direction.OUTBOUND, _HERE, 40000, parse_address(address), 443)
    attribution = Attribution(AttributionSource.BPF, process)
    return Connection(flow=flow, attribution=attribution, name=name, other_names=other_names)


_FILES = {
    "/usr/bin/curl": ProgramFile("curl", "5ab3e3e4b1c8f0d2" * 4),
    "/usr/bin/python3.13": ProgramFile("python3.13-minimal", "19f3b7c2de5a6084" * 4),
    "/usr/sbin/sshd": ProgramFile("openssh-server", "77c1d9a40be25f38" * 4),
    "/tmp/.cache/sync.py": ProgramFile("", "c0ffee5a9d1e7b46" * 4),
}
_PASTS = {  # by name
    "www.example.com": Past(domain="example.com", other="/usr/bin/git", other_allowed=412),
    "metrics.example.net": Past(domain="example.net", denied=3),
}

SAMPLES = {
    "question": _outbound(_CURL, "www.example.com", "203.0.113.5"),
    "warnings": _outbound(_SYNC, "metrics.example.net", "203.0.113.80", "cdn.example.org", "img.example.com"),
    "inbound": Connection(
        flow=Flow(TCP, Direction.INBOUND, _HERE, 22, parse_address("198.51.100.7"), 50505),
        attribution=Attribution(AttributionSource.BPF, _SSHD),
        interface="eth0",
    ),
    "right-to-left": _outbound(_CURL, "שלום.דוגמה.example", "203.0.113.9"),
    "one-liner": _outbound(_ONE_LINER, "api.example.com", "203.0.113.7"),
    "long": _outbound(_HOSTILE, "upload.example.com", "203.0.113.6"),
    "unknown": Connection(
        flow=Flow(UDP, Direction.OUTBOUND, _HERE, 40000, parse_address("2001:db8::53"), 123), attribution=UNKNOWN
    ),
}


def sample_prompt(prompt_id: int, connection: Connection, count: int = 1) -> Prompt:
    described = Catalogue().describe(connection)
    return Prompt(
        prompt_id=prompt_id,
        connection=described,
        count=count,
        reason="no rule matches",
        opened_s=time.time(),
        deadline_s=0.0,
        remaining_s=TIME_S,
        proposal=propose(described).choice,
        past=_PASTS.get(connection.name or ""),
    )


def find_sample_file(process: Process) -> ProgramFile:
    return _FILES.get(process.program, ProgramFile())


class Demo:
    """Takes the place of the daemon link: opens the sample questions, and takes the answers."""

    def __init__(self, tell: Callable[[Event], None], end: Callable[[], None]) -> None:
        self._tell = tell
        self._end = end
        self._open: set[int] = set()

    def start(self) -> None:
        self._tell(DaemonGreeted())
        for prompt_id, connection in zip(itertools.count(1), SAMPLES.values()):
            self._open.add(prompt_id)
            self._tell(QuestionOpened(sample_prompt(prompt_id, connection)))

    def answer(self, given: ToDaemon) -> None:
        for answer in given.answers if isinstance(given, Answers) else ():
            self._open.discard(answer.prompt_id)
            self._tell(QuestionClosed(answer.prompt_id, "answered"))
        if not self._open:
            self._end()
