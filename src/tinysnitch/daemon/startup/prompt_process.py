"""`tinysnitchd --prompt`: runs the prompt's window as the user who called sudo. It ends with us; no shell is used."""

import asyncio
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.startup.session_environment import session_environment
from tinysnitch.kernel.system.resources import Limits, set_limits

END_S = 3.0  # after SIGTERM, before SIGKILL


def find_caller(environment: Mapping[str, str]) -> pwd.struct_passwd:
    """The user of the window: TINYSNITCH_PROMPT_USER (a name or uid), else the one who called sudo, else our own.

    Raises SnitchError when there is no such user.
    """
    said = environment.get("TINYSNITCH_PROMPT_USER") or environment.get("SUDO_UID") or str(os.getuid())
    try:
        return pwd.getpwuid(int(said)) if said.isascii() and said.isdigit() else pwd.getpwnam(said)
    except (KeyError, OverflowError):
        hint = "set TINYSNITCH_PROMPT_USER to the user of the desktop"
        raise SnitchError(f"there is no user {said!r} to show the prompt to", hint) from None


class PromptProcess:
    """The window's process. Raises SnitchError when there is no such user, or no screen of theirs."""

    def __init__(self, socket: Path, environment: Mapping[str, str]) -> None:
        self.user = find_caller(environment)
        self._environment = session_environment(self.user, environment)
        self._command = [str(Path(sys.executable).parent / "tinysnitch-prompt"), "--socket", str(socket.absolute())]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, limits: Limits) -> None:
        """Start it as the user, in a session of its own so that a Ctrl-C in our terminal does not reach it. Raises
        SnitchError."""
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
        """End it. Safe at any moment, even if it was never started or has ended by itself."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), END_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
