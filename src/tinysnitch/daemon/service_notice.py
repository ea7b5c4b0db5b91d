"""Tells the service manager that started us that the firewall stands: whatever is ordered after us waits for that."""

import logging
import socket
from collections.abc import MutableMapping

_log = logging.getLogger(__name__)


def say_ready(environment: MutableMapping[str, str]) -> None:
    """By sd_notify(3)'s protocol, where that is asked for; what we start has nothing to say."""
    address = environment.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
            manager.send(b"READY=1")
    except OSError as error:
        _log.warning("%s: %s: whoever started tinysnitchd does not know that it stands", address, error.strerror)
