import subprocess
from pathlib import Path

import pytest

from tinysnitch.kernel.files.file_system_type import PROC, TMPFS, read_file_system_type


def test_proc_has_its_type() -> None:
    assert read_file_system_type(b"/proc/self") == PROC


@pytest.mark.privileged
def test_a_mount_has_its_type(tmp_path: Path) -> None:
    assert read_file_system_type(bytes(tmp_path.parents[-1])) != PROC
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    try:
        assert read_file_system_type(bytes(tmp_path)) == TMPFS
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_file_system_type(bytes(tmp_path / "missing"))
