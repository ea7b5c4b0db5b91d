from pathlib import Path

import pytest

from tests.shortage import descriptors_left
from tinysnitch.kernel.resolver import name_services
from tinysnitch.kernel.resolver.name_services import BY_NSCD, BY_OLD_RESOLVED, BY_RESOLVED, find_name_services


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("NSSWITCH", "NSCD_CONF", "RESOLVED_SOCKET", "RESOLVED_MONITOR", "NSCD_SOCKET"):
        monkeypatch.setattr(name_services, name, tmp_path / name)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("hosts", "is_used"),
    [
        ("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns", True),
        ("passwd: files\n  hosts:\tfiles resolve", True),
        ("hosts:resolve files", True),
        ("hosts : files resolve[NOTFOUND=return]", True),
        ("hosts: files dns # resolve", False),
        ("#hosts: resolve\nhosts: files mdns4_minimal [NOTFOUND=return] dns\nnetworks: resolve", False),
        ("", False),
    ],
)
def test_resolved_is_asked_where_the_order_of_name_services_says_so(place: Path, hosts: str, is_used: bool) -> None:
    (place / "NSSWITCH").write_text(hosts)
    assert find_name_services() == ([BY_RESOLVED] if is_used else [])
    (place / "RESOLVED_MONITOR").unlink()
    assert find_name_services() == ([BY_OLD_RESOLVED] if is_used else [])
    (place / "RESOLVED_SOCKET").unlink()
    assert find_name_services() == []


@pytest.mark.parametrize(("conf", "is_used"), [("yes", True), ("no", False), ("yes\n#", True), ("# yes", False)])
def test_nscd_is_asked_where_it_keeps_hosts(place: Path, conf: str, is_used: bool) -> None:
    (place / "NSCD_CONF").write_text(f"enable-cache\tpasswd\tyes\n\tenable-cache\thosts\t\t{conf}\n")
    assert find_name_services() == ([BY_NSCD] if is_used else [])
    (place / "NSCD_SOCKET").unlink()
    assert find_name_services() == []


def test_files_need_not_be_there(place: Path) -> None:
    (place / "NSSWITCH").unlink()
    (place / "NSCD_CONF").write_bytes(b"\xff\n")
    assert find_name_services() == []


def test_for_want_of_descriptors_nothing_is_said(place: Path) -> None:
    with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
        find_name_services()
