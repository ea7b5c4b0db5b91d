"""The bpffs is mounted once, and taken away only where a daemon mounted it and nobody uses it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tinysnitch.kernel.bpf import bpffs
from tinysnitch.kernel.proc.mounts import parse_mounts

SOURCE = Path(__file__).parents[3] / "src"


@pytest.mark.parametrize(
    ("mounts", "is_mounted"),
    [
        ("bpf /sys/fs/bpf bpf rw 0 0\n", True),
        ("proc /proc proc rw 0 0\n", False),
        ("bpf /elsewhere bpf rw 0 0\n", False),
        ("tmpfs /sys/fs/bpf tmpfs rw 0 0\n", False),
    ],
)
def test_only_a_bpffs_at_its_place_counts(monkeypatch: pytest.MonkeyPatch, mounts: str, is_mounted: bool) -> None:
    monkeypatch.setattr(bpffs, "read_mounts", lambda: parse_mounts(mounts))
    assert bpffs.is_mounted() is is_mounted


def run_without_bpffs(script: str) -> None:
    """Run the script in a mount namespace of its own."""
    script = f"import os, sys; sys.path.insert(0, {str(SOURCE)!r}); from tinysnitch.kernel import bpffs as b\n{script}"
    command = 'while umount /sys/fs/bpf 2>/dev/null; do :; done; exec "$@"'
    subprocess.run(["unshare", "--mount", "sh", "-c", command, "sh", sys.executable, "-c", script], check=True)


@pytest.mark.privileged
def test_it_comes_once_and_goes_when_empty() -> None:
    run_without_bpffs(
        "b.mount_bpffs(); b.mount_bpffs(); assert b.is_mounted()\n"
        "pin = b.MOUNT_POINT / 'somebody'; pin.mkdir(); b.unmount_bpffs(); assert b.is_mounted()\n"
        "pin.rmdir(); b.unmount_bpffs(); assert not b.is_mounted(); b.unmount_bpffs()\n"
    )


@pytest.mark.privileged
def test_what_a_killed_daemon_mounted_goes_with_its_successor() -> None:
    run_without_bpffs(
        "if os.fork() == 0: b.mount_bpffs(); os._exit(0)\n"
        "os.wait(); b.mount_bpffs(); b.unmount_bpffs(); assert not b.is_mounted()\n"
    )


@pytest.mark.privileged
def test_what_others_mounted_or_work_in_stays() -> None:
    run_without_bpffs(
        "b.mount_bpffs(); os.chdir(b.MOUNT_POINT); b.unmount_bpffs(); assert b.is_mounted()\n"
        "os.chdir('/'); b.unmount_bpffs(); assert not b.is_mounted()\n"
        "os.system('mount -t bpf bpf /sys/fs/bpf'); b.mount_bpffs(); b.unmount_bpffs(); assert b.is_mounted()\n"
    )
