import os
from pathlib import Path

import pytest

from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.kernel.system import apart
from tinysnitch.kernel.system.apart import run_apart

pytestmark = pytest.mark.privileged


def test_it_has_namespaces_of_its_own() -> None:
    inside = run_apart(lambda: b" ".join(os.readlink(f"/proc/self/ns/{name}").encode() for name in ("net", "mnt")))
    outside = [os.readlink(f"/proc/self/ns/{name}") for name in ("net", "mnt")]
    assert not set(inside.decode().split()) & set(outside)


def test_what_is_mounted_there_is_nowhere_else(tmp_path: Path) -> None:
    def mount() -> bytes:
        assert apart._libc.mount(b"none", os.fsencode(tmp_path), b"tmpfs", 0, None) == 0
        (tmp_path / "file").touch()
        return b"mounted"

    assert run_apart(mount) == b"mounted"
    assert list(tmp_path.iterdir()) == []


def test_work_that_fails_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> bytes:
        raise ValueError("of the work")

    with pytest.raises(SnitchError, match="ended with 1"):
        run_apart(fail)
    assert "ValueError: of the work" in capfd.readouterr().err


def test_who_may_not_be_apart_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_part", lambda: "no namespaces of its own: Operation not permitted")
    with pytest.raises(NotPermitted, match="no namespaces"):
        run_apart(lambda: b"")
