"""Mounts by /proc, whatever names the folders have that users mount on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.kernel.proc.mounts import Mount, parse_mounts, read_mounts

SOURCE = Path(__file__).parents[3] / "src"


@pytest.mark.parametrize(
    ("text", "mounts"),
    [
        ("", []),
        ("bpf /sys/fs/bpf bpf rw 0 0\n", [Mount(Path("/sys/fs/bpf"), "bpf", "bpf")]),
        ("a\\040b /my\\040c\\134040\\043 ext4 rw 0 0\n", [Mount(Path("/my c\\040#"), "ext4", "a\\040b")]),
        (
            "x /h/a\x0bbpf\x0b/sys/fs/bpf\x0bbpf\x0b fuse rw 0 0",
            [Mount(Path("/h/a\x0bbpf\x0b/sys/fs/bpf\x0bbpf\x0b"), "fuse", "x")],
        ),
    ],
)
def test_places_and_types(text: str, mounts: list[Mount]) -> None:
    assert list(parse_mounts(text)) == mounts


@given(st.text(max_size=100))
def test_any_text_is_parsed(text: str) -> None:
    list(parse_mounts(text))


def test_what_is_mounted_here() -> None:
    assert (Path("/proc"), "proc") in [(mount.place, mount.file_system) for mount in read_mounts()]


@pytest.mark.privileged
def test_a_mount_is_news_once() -> None:
    script = (
        "import select, subprocess\n"
        "from contextlib import closing\n"
        "from tinysnitch.kernel.proc.mounts import MountNews\n"
        "def is_there(): return bool(select.select([news], [], [], 0)[0])\n"
        "with closing(MountNews()) as news:\n"
        "    for change in (['mount', '-t', 'tmpfs', 'none', '/mnt'], ['umount', '/mnt']):\n"
        "        assert not is_there()\n"
        "        subprocess.run(change, check=True)\n"
        "        assert is_there()\n"
        "        news.drain()\n"
        "    assert not is_there()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run(["unshare", "--mount", sys.executable, "-c", script], check=True, env=environment)


@pytest.mark.privileged
def test_a_path_that_is_no_text(tmp_path: Path) -> None:
    """In a mount namespace of its own, with a locale that has only ASCII."""
    place = os.fsencode(tmp_path) + b"/\xff\xe2\x80\xa8"
    os.mkdir(place)
    script = (
        "import os, sys\n"
        "from tinysnitch.kernel.bpf import pins\n"
        "from tinysnitch.kernel.proc import cgroups, mounts\n"
        "assert os.fsencode(sys.argv[1]) in [os.fsencode(each.place) for each in mounts.read_mounts()]\n"
        "pins.is_mounted(); cgroups.find_cgroup_mount()\n"
    )
    mount = 'mount -t tmpfs none "$0" && exec "$@" "$0"'
    command = ["unshare", "--mount", "sh", "-c", mount, place, sys.executable, "-c", script]
    subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C", "PYTHONPATH": str(SOURCE)})
