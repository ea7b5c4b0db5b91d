"""`tinysnitchd --prompt`: the window of the person who called, started as that person and ended with the daemon.

No shell is involved.
"""

import asyncio
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.daemon.session_environment import session_environment
from tinysnitch.kernel.descriptor_limit import Limits, set_limits

END_S = 3.0


def find_caller(environment: Mapping[str, str]) -> pwd.struct_passwd:
    """Whom the window is for: TINYSNITCH_PROMPT_USER (a name or uid), else whoever called sudo, else ourselves.

    Raises SnitchError when there is no such user.
    """
    said = environment.get("TINYSNITCH_PROMPT_USER") or environment.get("SUDO_UID") or str(os.getuid())
    try:
        return pwd.getpwuid(int(said)) if said.isascii() and said.isdigit() else pwd.getpwnam(said)
    except (KeyError, OverflowError):
        hint = "set TINYSNITCH_PROMPT_USER to the user of the desktop"
        raise SnitchError(f"there is no user {said!r} to show the prompt to", hint) from None


class PromptProcess:
    """The window's process. Raises SnitchError when there is nobody or no screen to show it to."""

    def __init__(self, socket: Path, environment: Mapping[str, str]) -> None:
        self.user = find_caller(environment)
        self._environment = session_environment(self.user, environment)
        self._command = [str(Path(sys.executable).parent / "tinysnitch-prompt"), "--socket", str(socket.absolute())]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, limits: Limits) -> None:
        """As the user, in a session of its own: a Ctrl-C in our terminal is for us. Raises SnitchError."""
        user = self.user
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                cwd="/",
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=os.getgrouplist(user.pw_name, user.pw_gid),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=lambda: set_limits(limits),
            )
        except OSError as error:
            hint = f"can {user.pw_name} read {Path(sys.prefix)}?"
            raise SnitchError(f"cannot start {self._command[0]}: {error.strerror}", hint) from error

    async def stop(self) -> None:
        """Safe at any moment, also when it has ended by itself."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), END_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
