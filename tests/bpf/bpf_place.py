"""The place of a BPF test: a network namespace, a cgroup and a bpffs of its own, all removed afterwards."""

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.lab import cgroup
from tests.lab.leftovers import NETNS_FOLDER, own_name, remove_netns
from tests.lab.loaded_programs import borrow, give_back
from tests.lab.patience import WAIT_S, read_line
from tinysnitch.core.model.scope import Scope
from tinysnitch.kernel.bpf.programs import BpfPrograms

HELD = 7  # the queue of what is held there
AGENT = Path(__file__).with_name("bpf_agent.py")
MOMENT_S = 0.3  # what netfilter swallows is waited for so long; what is sure to come may take its time


class Agent:
    """A process at the place: `agent.call("connect", ...)` runs a function of bpf_agent.py in it."""

    def __init__(self, front: list[str], program: list[str]) -> None:
        self._process = subprocess.Popen([*front, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        read_line(self._process)  # it is itself now

    def call(self, name: str, *args: Any) -> Any:  # noqa: ANN401  (what JSON can say)
        assert self._process.stdin
        self._process.stdin.write(json.dumps([name, *args]) + "\n")
        self._process.stdin.flush()
        return json.loads(read_line(self._process))

    def is_swallowed(self, handle: int, address: str, port: int) -> bool:
        """Whether its SYN reaches nobody, not even a rule that refuses it."""
        return self.call("connect", handle, address, port, MOMENT_S) == "ETIMEDOUT"

    def hears(self, handle: int, *, expected: bool) -> bool:
        """Whether the socket receives something."""
        return bool(self.call("receive", handle, *([] if expected else [MOMENT_S])))

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=WAIT_S)
        self._process.stdout.close()


class BpfPlace:
    def __enter__(self) -> Self:
        self.name = own_name("bpf")
        self.cgroup = cgroup.find_root() / self.name
        with ExitStack() as undo:
            self.bpffs = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix=f"{self.name}-")))
            self._prepare(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    def _prepare(self, undo: ExitStack) -> None:
        subprocess.run(["mount", "-t", "bpf", "bpf", str(self.bpffs)], check=True)
        undo.callback(subprocess.run, ["umount", str(self.bpffs)], check=True)
        undo.callback(cgroup.remove, self.cgroup)
        self.cgroup.mkdir()
        undo.callback(remove_netns, self.name)
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pin_dir(self) -> Path:
        return self.bpffs / "instance"

    def enter(self) -> list[str]:
        """The words before a command line that make it run in the namespace and cgroup."""
        join = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(self.cgroup)]
        return [*join, "nsenter", f"--net={NETNS_FOLDER / self.name}"]

    def run(self, *command: str) -> str:
        return subprocess.run([*self.enter(), *command], check=True, capture_output=True, text=True).stdout

    def start_agent(self) -> Agent:
        agent = Agent(self.enter(), [sys.executable, "-I", "-S", str(AGENT)])
        self._undo.callback(agent.close)
        return agent

    def read_netns_cookie(self) -> int:
        return int(self.start_agent().call("netns_cookie"))

    def count_sockets(self) -> int:
        """How many sockets BPF knows."""
        (path,) = self.bpffs.glob("**/maps/sockets")
        return len(json.loads(self.run("bpftool", "-j", "map", "dump", "pinned", str(path))))

    def load(self, scope: Scope = Scope.MACHINE) -> BpfPrograms:
        """The programs, in no rule of the namespace when they are given back: that ends a while after its removal, and
        what its sockets send again would be noted in the maps of who borrows the programs next."""
        loaded = borrow()
        self._undo.callback(give_back, loaded)
        with loaded.lent():
            programs = BpfPrograms.load(self.pin_dir, self.cgroup, self.read_netns_cookie(), scope)
        self._undo.callback(programs.remove)
        self._undo.callback(self.run, "sh", "-c", "iptables -F && ip6tables -F")
        return programs
