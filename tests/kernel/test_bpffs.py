"""The bpffs is mounted once and taken away only when nobody has pinned anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from tinysnitch.kernel import bpffs
from tinysnitch.kernel.mounts import parse_mounts

SOURCE = Path(__file__).parents[2] / "src"


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


@pytest.mark.privileged
def test_it_comes_once_and_goes_when_empty() -> None:
    """In a mount namespace of its own, without a bpffs."""
    script = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from tinysnitch.kernel import bpffs as b\n"
        "assert b.mount_bpffs() and not b.mount_bpffs() and b.is_mounted()\n"
        "pin = b.MOUNT_POINT / 'somebody'; pin.mkdir(); b.unmount_bpffs(); assert b.is_mounted()\n"
        "pin.rmdir(); b.unmount_bpffs(); assert not b.is_mounted(); b.unmount_bpffs()\n"
    )
    command = 'while umount /sys/fs/bpf 2>/dev/null; do :; done; exec "$@"'
    subprocess.run(["unshare", "--mount", "sh", "-c", command, "sh", sys.executable, "-c", script], check=True)
