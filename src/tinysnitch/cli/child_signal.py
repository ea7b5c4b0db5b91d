"""Sends a signal to a child of ours that may already have ended without our loop knowing yet."""

import asyncio
import os
import signal
from contextlib import suppress


def send_signal(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """As Process.send_signal(), which before Python 3.13 may reap the child, so that `wait` returns 255 as status."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)
