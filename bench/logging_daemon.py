"""A tinysnitchd whose log goes to a file: a reader of a pipe would take the second core away from what is measured."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE

BIN = Path(sys.executable).parent
_START_S = 60.0
_DISK_KB = 512


class LoggingDaemon:
    """Enforces `rules` in the lab once its constructor returns."""

    def __init__(
        self,
        lab: Lab,
        rules: str,
        *,
        program: tuple[str, ...] = (str(BIN / "tinysnitchd"),),
        has_own_disk: bool = False,
    ) -> None:
        """`has_own_disk`: its state folder is on a small disk of its own, mounted in the lab alone."""
        self.folder = lab.folder / f"bench-{time.monotonic_ns()}"
        (self.folder / "state").mkdir(parents=True)
        if has_own_disk:
            lab.run_outside(["mount", "-t", "tmpfs", "-o", f"size={_DISK_KB}k", "none", str(self.folder / "state")])
        (self.folder / "rules").write_text(rules)
        self.socket = self.folder / "socket"
        self.log = self.folder / "log"
        self._errors = self.folder / "stderr"
        words = ["--rules", str(self.folder / "rules"), "--state-dir", str(self.folder / "state")]
        words += ["--socket", str(self.socket), "--log", "json", "--cgroup", str(lab.cgroup)]
        with self.log.open("wb") as log, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*lab.namespaces.enter_host_outside(), *program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        lab.namespaces.track(self.process)
        self._wait_ready()

    def _wait_ready(self) -> None:
        deadline_s = time.monotonic() + _START_S * PATIENCE
        while b"\n" not in self.log.read_bytes()[:4096]:
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"tinysnitchd did not start: {self._errors.read_text()}")
            time.sleep(0.02)

    def count_decided(self, protocol: str) -> int:
        """Connections of this protocol that were logged so far."""
        return self.log.read_bytes().count(b'"protocol":"%s"' % protocol.encode())

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=_START_S * PATIENCE)
