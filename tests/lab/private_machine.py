"""A lab in which commands may use their default paths: what they write there is in memory, and gone with the lab."""

import os
import subprocess
import tempfile
from pathlib import Path

from tests.lab.daemon import BIN
from tests.lab.forked import Forked
from tests.lab.lab import Lab

# The machine's /etc with the lab's resolver and without rules of ours, and an empty /run, /var/lib and /var/log. All is
# on tmpfs, so the machine's own files stay as they are.
_PRIVATE_FILES = """
for place in /run /var/lib /var/log; do mount -t tmpfs private "$place"; done
mkdir /run/etc /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work private /etc
rm -rf /etc/tinysnitch.rules /etc/tinysnitch.d
cp "$1" /etc/resolv.conf
echo ready
exec sleep infinity
"""


class PrivateMachine:
    """A mount namespace with private /etc, /run, /var/lib and /var/log; it ends with the lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        words = ["unshare", "--mount", "sh", "-ec", _PRIVATE_FILES, "sh", str(lab.folder / "resolv.conf")]
        holder = lab.namespaces.start_server([*lab.namespaces.enter_host_outside(), *words], "ready")
        self._pid = holder.pid
        self.home = Path(tempfile.mkdtemp(prefix="home-", dir=lab.folder))
        self.home.chmod(0o755)
        commands = self.home / "bin"
        commands.mkdir()
        (commands / "sudo").write_text('#!/bin/sh\n[ "$1" != -E ] || shift\nexec "$@"\n')  # whoever calls it is root
        (commands / "sudo").chmod(0o755)
        (self.home / ".curlrc").write_text("insecure\nsilent\nshow-error\n")  # the certificates are self-signed

    def enter(self, user: str | None = None) -> list[str]:
        """The front of a command line that runs the rest in this machine, with the project's commands in its PATH."""
        mounts = ["nsenter", f"--mount=/proc/{self._pid}/ns/mnt", f"--wd={os.getcwd()}"]
        path = f"PATH={self.home / 'bin'}:{BIN}:{os.environ['PATH']}"
        become = self._lab.namespaces.enter_host_outside(user)[len(self._lab.namespaces.enter_host_outside()) :]
        home = [f"HOME={self.home}", f"CURL_HOME={self.home}"]
        return [*self._lab.namespaces.enter_host_outside(), *mounts, "env", path, *home, *become]

    def path(self, path: Path) -> Path:
        """The path by which this process reaches one of the machine's files."""
        return Path(f"/proc/{self._pid}/root{path}")

    def start_daemon(self) -> Forked:
        place = {**self._lab.namespaces.place_outside(), "mounts": f"/proc/{self._pid}/ns/mnt"}
        command = [str(BIN / "tinysnitchd"), "--log", "json"]
        with (self.home / "stderr").open("w") as stderr:
            daemon = Forked(command, place, subprocess.PIPE, stderr, is_leader=True)
        self._lab.namespaces.track(daemon)
        assert daemon.stdout
        for line in daemon.stdout:
            if '"ready"' in line:
                return daemon
        raise AssertionError((self.home / "stderr").read_text())
