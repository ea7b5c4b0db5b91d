"""One prompt window for each session, by a lock that the kernel releases when its holder ends (flock(2))."""

import errno
import fcntl
import os
import re
from collections.abc import Mapping
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError


class SingleInstance:
    """Holds the session's lock while it exists."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._path = _path_of_lock(environment)
        self._fd = -1

    def claim(self) -> bool:
        """Take the lock. Returns False if another prompt window holds it. Raises SnitchError for any failure."""
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            if os.fstat(self._fd).st_uid != os.getuid():  # in /tmp any user could make the file, and hold it for ever
                raise PermissionError(errno.EPERM, "it is another user's")
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except OSError as error:
            self.release()
            raise SnitchError(f"cannot lock {self._path}: {error.strerror}", "is XDG_RUNTIME_DIR yours?") from error
        return True

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _path_of_lock(environment: Mapping[str, str]) -> Path:
    """A file in the session's own folder, named after the screen, since a user may have several sessions."""
    display = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY") or "none"
    name = f"tinysnitch-prompt-{re.sub(r'[^A-Za-z0-9-]', '_', display)}.lock"
    folder = environment.get("XDG_RUNTIME_DIR")
    return Path(folder) / name if folder else Path(f"/tmp/{os.getuid()}-{name}")
