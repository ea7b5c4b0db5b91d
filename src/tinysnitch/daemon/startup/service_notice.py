"""Tells the service manager that the firewall stands: units ordered after ours wait for that.

They do not wait for ever: if our start hangs the boot goes on after a while, with the machine closed, so that somebody
can log in and see why.
"""

import logging
import socket
import threading
from collections.abc import MutableMapping

PATIENCE_S = 90.0  # as long as systemd gives other services to start (DefaultTimeoutStartSec=)
_log = logging.getLogger(__name__)


class ServiceNotice:
    """Speaks sd_notify(3)'s protocol if NOTIFY_SOCKET is set; removes that, so that our children do not speak too."""

    def __init__(self, environment: MutableMapping[str, str], patience_s: float = PATIENCE_S) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        self._timer = threading.Timer(patience_s, self._give_up)  # a thread: it may be the loop that hangs
        self._timer.daemon = True
        if self._address:
            self._timer.start()

    def say_ready(self) -> None:
        self.close()
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.connect(_address_of(self._address))
                manager.send(b"READY=1")
        except OSError as error:
            _log.warning(
                "%s: %s: the service manager could not be told that tinysnitchd is ready", self._address, error.strerror
            )

    def close(self) -> None:
        """Say nothing more."""
        self._timer.cancel()

    def _give_up(self) -> None:
        self.say_ready()  # before the log, which may fail in a thread (error_log.py)
        _log.warning("the start takes long: what waits for it goes on, and new connections wait until it is over")


def _address_of(text: str) -> str:
    return text.replace("@", "\0", 1) if text.startswith("@") else text
