"""Where Qt finds no screen it ends the process by abort(), from within its constructor: nothing there can be caught.

Its last message comes before that. So the messages of the start are kept, and with the last one the process ends as any
command does that failed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from tinysnitch.commandline.notes import print_snitch_error
from tinysnitch.core.errors import SnitchError

_HINT = "is DISPLAY or WAYLAND_DISPLAY right, and may this user use it? In a terminal, use `tinysnitch prompt`"
_CONNECTING = ("could not connect", "wl_display")  # what tells more than the messages that follow from it


@contextmanager
def screen_failure_told() -> Iterator[None]:
    """While Qt starts: what goes wrong is printed, and the process ends."""
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
    """The cause among what Qt said, as one clause."""
    causes = [message for message in messages if any(words in message for words in _CONNECTING)] or messages[:1]
    return "; ".join(" ".join(cause.split()).rstrip(".") for cause in causes) or "it does not say why"
