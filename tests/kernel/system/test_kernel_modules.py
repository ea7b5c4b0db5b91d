import os
from pathlib import Path

import pytest

from tinysnitch.kernel.system import kernel_modules

OURS = os.uname().release


@pytest.mark.parametrize(
    ("releases", "are_gone"),
    [([OURS], False), (["6.1.0-1"], True), (["6.1.0-1", OURS], False), ([], False), (None, False)],
)
def test_that_an_upgrade_took_the_modules_of_the_running_kernel_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, releases: list[str] | None, are_gone: bool
) -> None:
    """Where there are no modules at all (a container, a kernel without modules) nothing was removed."""
    monkeypatch.setattr(kernel_modules, "_FOLDER", tmp_path / "modules")
    for release in releases or []:
        (tmp_path / "modules" / release).mkdir(parents=True)
    if releases == []:
        (tmp_path / "modules").mkdir()
    reason = f"; those of the running kernel ({OURS}) are gone, as after an upgrade: restart the machine"
    assert kernel_modules.with_reason("modprobe x") == f"modprobe x{reason if are_gone else ''}"
