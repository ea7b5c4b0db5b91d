"""Turns a failed start of Qt into an error and an exit code, like those of any command.

If Qt finds no screen, it calls abort() within its constructor, which cannot be caught. But before that it logs a fatal
message. So the messages of the start are collected, and at the fatal one the process prints the error and ends.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from tinysnitch.commandline.notes import print_snitch_error
from tinysnitch.core.model.errors import SnitchError

_HINT = "is DISPLAY or WAYLAND_DISPLAY right, and may this user use it? In a terminal, use `tinysnitch prompt`"
_CONNECTING = ("could not connect", "wl_display")  # messages that tell the cause; others only follow from it


@contextmanager
def screen_failure_told() -> Iterator[None]:
    """While Qt starts in this block: on a fatal message print an error and end the process."""
    messages: list[str] = []

    def note(kind: QtMsgType, _context: QMessageLogContext, message: str) -> None:
        if kind is QtMsgType.QtFatalMsg:
            error = SnitchError(f"Qt cannot show a window here: {find_reason(messages)}", _HINT)
            print_snitch_error(error)
            sys.stderr.flush()
            os._exit(error.exit_code)
        messages.append(message)

    qInstallMessageHandler(note)
    try:
        yield
    finally:
        qInstallMessageHandler(None)


def find_reason(messages: list[str]) -> str:
    """The cause among Qt's messages, as one clause."""
    causes = [message for message in messages if any(words in message for words in _CONNECTING)] or messages[:1]
    return "; ".join(" ".join(cause.split()).rstrip(".") for cause in causes) or "it does not say why"
