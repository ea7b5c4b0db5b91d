"""A signal for a child of ours, which may have ended and not be told of yet."""

import asyncio
import os
import signal
from contextlib import suppress


def send_signal(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Process.send_signal() before Python 3.13 looks whether it has ended, and `wait` then gives 255 for its status."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)
