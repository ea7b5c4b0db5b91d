"""A running tinysnitch-trace."""

import select
import subprocess

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.patience import wait_until


def start_trace(lab: Lab, *flags: str) -> subprocess.Popen[str]:
    """Start tinysnitch-trace, and execute programs until it prints a line: from then on it is known to trace."""
    trace = lab.spawn_outside([str(BIN / "tinysnitch-trace"), "--cgroup", str(lab.cgroup), *flags])

    def has_line_or_ended() -> bool:
        lab.run(["true"])
        return bool(select.select([trace.stdout], [], [], 0)[0])

    wait_until(has_line_or_ended, "tinysnitch-trace says nothing of what is executed")
    return trace
