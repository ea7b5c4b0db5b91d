"""OpenSnitch of Debian's package, where it is installed: in the lab's network namespace, its files in the lab's folder.

It must never run outside of the lab: it would judge the machine's own connections. One file it reads wherever its
configuration lies, /etc/opensnitchd/system-fw.json; as the package brings it, it accepts ICMP and does nothing else.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE

PROGRAM = "opensnitchd"
METHOD = "proc"
_WAIT_S = 30.0
_READY = "Running on netfilter queue"  # logged right before it reads the first packet
_UNDECIDED = "Timed out while sending packet"  # go_callback(): it accepts a packet that waited for a millisecond
_TIME = "2025-01-01T00:00:00Z"


def find_version(lab: Lab) -> str | None:
    """The version of the package; None where it is not installed."""
    return lab.run_outside([PROGRAM, "-version"]).stdout.strip() if shutil.which(PROGRAM) else None


class OpenSnitch:
    """Judges in the lab once its constructor returns: the `allowed` may connect, and no other program."""

    def __init__(self, lab: Lab, *allowed: str) -> None:
        self._lab = lab
        self._folder = lab.folder / f"opensnitch-{time.monotonic_ns()}"
        (self._folder / "rules").mkdir(parents=True)
        for number, program in enumerate(allowed):
            rule = _rule(f"allowed-{number}", program)
            (self._folder / "rules" / f"{rule['name']}.json").write_text(json.dumps(rule))
        (self._folder / "config.json").write_text(json.dumps(_config(self._folder)))
        self._log = self._folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*lab.namespaces.enter_host_outside(), PROGRAM, "-config-file", str(self._folder / "config.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        lab.namespaces.track(self.process)
        self._wait_until(self._is_ready)
        if "NFQUEUE" not in self._read_rules():
            raise RuntimeError(f"OpenSnitch judges nothing: {self._log.read_text()}")

    def count_undecided(self) -> int:
        """How many packets it accepted without a decision, since it had no time for them."""
        return self._log.read_text().count(_UNDECIDED)

    def stop(self) -> None:
        """End it: kill it once its netfilter rules are gone: the rest takes five more seconds (Queue.destroy())."""
        os.kill(self.process.pid, signal.SIGTERM)
        self._wait_until(lambda: not any(word in self._read_rules() for word in ("NFQUEUE", "opensnitch")))
        self.process.kill()
        self.process.wait(timeout=_WAIT_S * PATIENCE)
        self._remove_chains()

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"OpenSnitch did not start: {self._log.read_text()}")
        return _READY in self._log.read_text()

    def _wait_until(self, is_done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + _WAIT_S * PATIENCE
        while not is_done():
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"OpenSnitch does not start or end: {self._log.read_text()}")
            time.sleep(0.02)

    def _read_rules(self) -> str:
        done = self._lab.run_outside(["sh", "-c", "iptables-save && ip6tables-save"])
        done.check_returncode()  # a failed command must not pass for an empty list
        return done.stdout

    def _remove_chains(self) -> None:
        """Remove the empty tables that it leaves behind: every packet of the rows to come would go through them."""
        for program in ("iptables", "ip6tables"):
            for table in ("mangle", "filter"):
                self._lab.run_outside([program, "-t", table, "-X"])


def _config(folder: Path) -> dict[str, Any]:
    """The package's own configuration, except for the lines with a comment. No flags are needed besides."""
    return {
        "Server": {"Address": f"unix://{folder}/ui"},  # nobody listens there
        # Not "allow": a connection whose program it did not find would count as decided.
        "DefaultAction": "deny",
        "DefaultDuration": "once",
        "InterceptUnknown": False,
        # "ebpf" needs another package, kprobes and debugfs, which the kernels of virtual machines often lack.
        "ProcMonitorMethod": METHOD,
        # An empty folder. The modules of that package, if it is installed, would trace the libc of the whole machine.
        "Ebpf": {"ModulesPath": str(folder)},
        # Not "nftables": on a kernel without nft_queue all traffic bypasses it, and only its log says so. Either way
        # the first packet of each connection is queued.
        "Firewall": "iptables",
        "Rules": {"Path": str(folder / "rules")},
        "LogLevel": 1,  # logs that it is ready, and no line for each connection
    }


def _rule(name: str, program: str) -> dict[str, Any]:
    operator = {"type": "simple", "operand": "process.path", "sensitive": True, "data": program, "list": []}
    times = {"created": _TIME, "updated": _TIME}
    verdict = {"enabled": True, "precedence": False, "nolog": False, "action": "allow", "duration": "always"}
    return {"name": name, **times, **verdict, "operator": operator}
