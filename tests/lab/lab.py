"""The lab as a test sees it: clients on the host, servers in the world, and a daemon that judges what passes between.

`with Lab() as lab:` leaves nothing behind, also when the test fails or is interrupted.
"""

import itertools
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.bpf.netns_visit import visit_netns
from tests.lab.daemon import Daemon
from tests.lab.leftovers import NETNS_FOLDER
from tests.lab.loaded_programs import LoadedPrograms, borrow, give_back
from tests.lab.namespaces import Namespaces
from tests.lab.patience import PATIENCE, WAIT_S
from tests.lab.world import WORLD4, World
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.instance import name_instance
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.proc.netns import read_netns_cookie

DNS_RULE = f"allow {WORLD4} 53 udp\n"
CLOSED = subprocess.DEVNULL


class Lab:
    def __init__(self) -> None:
        self._undo = ExitStack()
        self._number = itertools.count(1)
        self._loaded: LoadedPrograms | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._give_programs_back)
            self.namespaces = Namespaces(undo, (WORLD4,))
            World(self.namespaces)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    @property
    def folder(self) -> Path:
        """A folder that every user may enter; it is removed when the lab ends."""
        return self.namespaces.folder

    @property
    def cgroup(self) -> Path:
        """The cgroup that the daemon's BPF programs are attached to: that of the clients."""
        return self.namespaces.clients_cgroup

    def on_exit(self, undo: Callable[[], object]) -> None:
        """Have `undo` called when the lab ends, while all of the lab still works."""
        self._undo.callback(undo)

    def run(
        self, command: list[str], timeout_s: float = WAIT_S, user: str | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a client on the host, in the judged cgroup, and wait until it has ended."""
        return subprocess.run(
            self.namespaces.enter_host(user) + command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout_s,
        )

    def spawn(self, command: list[str], user: str | None = None, stdin: int = CLOSED) -> subprocess.Popen[str]:
        """Start a client on the host, in the judged cgroup; its stdout and stderr are one pipe."""
        return self._spawn(self.namespaces.enter_host(user) + command, stdin)

    def spawn_outside(self, command: list[str], stdin: int = CLOSED) -> subprocess.Popen[str]:
        """Start a program on the host, but outside the judged cgroup."""
        return self._spawn(self.namespaces.enter_host_outside() + command, stdin)

    def run_outside(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a program on the host, but outside the judged cgroup: iptables-save, for example."""
        return self._run(self.namespaces.enter_host_outside() + command)

    def run_world(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a client in the world; what it connects to on the host is inbound there."""
        return self._run(self.namespaces.enter_world() + command)

    def spawn_world(self, command: list[str], stdin: int = CLOSED) -> subprocess.Popen[str]:
        return self._spawn(self.namespaces.enter_world() + command, stdin)

    def start_daemon(self, rules: str | None, *flags: str, timeout_s: float = 300) -> Daemon:
        """Start tinysnitchd with these rules (None: no rules file) and wait until it enforces them.

        `timeout_s` is how long a question stays open: 0 denies at once what no rule covers.
        """
        folder = self.folder / f"daemon-{next(self._number)}"
        folder.mkdir()
        if rules is not None:
            (folder / "rules").write_text(rules)
            (folder / "rules").chmod(0o600)  # as the daemon makes it: it would say that it closes the file
        return self.restart_daemon(folder, *flags, timeout_s=timeout_s)

    def restart_daemon(self, folder: Path, *flags: str, timeout_s: float = 300) -> Daemon:
        """Start tinysnitchd with the rules and the state that an earlier daemon left in the folder."""
        if "--no-bpf" not in flags:
            self._lend_programs()
        words = ["--cgroup", str(self.cgroup), "--timeout", str(timeout_s * PATIENCE), *flags]
        daemon = Daemon(self.namespaces, folder, words)
        (ready,) = daemon.records("ready")
        # A daemon that fell back to procfs would let tests pass that are meant to show what BPF does.
        assert (ready["mode"] == "bpf") != ("--no-bpf" in flags), ready
        return daemon

    def _lend_programs(self) -> None:
        """Pin BPF programs for the daemon to adopt, unless others are pinned: loading them is half of a start."""
        with visit_netns(NETNS_FOLDER / self.namespaces.host):
            netns_cookie = read_netns_cookie()
            pin_dir = self.namespaces.host_path(name_instance(netns_cookie, Scope.MACHINE).pins)
            if not pin_dir.parent.is_mount() or pin_dir.exists():
                return
            if self._loaded is None:
                self._loaded = borrow()
            with self._loaded.lent():
                BpfPrograms.load(pin_dir, self.cgroup, netns_cookie, Scope.MACHINE).close()

    def _give_programs_back(self) -> None:
        if self._loaded is not None:
            give_back(self._loaded)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, stdin=CLOSED, capture_output=True, text=True, timeout=WAIT_S)

    def _spawn(self, command: list[str], stdin: int) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="surrogateescape"
        )
        self.namespaces.track(child)
        return child
