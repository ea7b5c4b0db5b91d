import shutil
import subprocess
from pathlib import Path

import pytest

from tinysnitch.client.package_database import RpmDatabase, open_package_database


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    write(tmp_path / "var/lib/dpkg/status", "")
    info = tmp_path / "var/lib/dpkg/info"
    write(info / "curl.list", "/.\n/usr\n/usr/bin/curl\n")
    write(info / "libc6:amd64.list", "/lib/ld.so\n/usr/bin/ldd\n")
    write(info / "vim.list", "/usr/bin/view\n")
    write(info / "view.list", "/usr/bin/view\n")
    write(info / "curl.md5sums", "/usr/bin/other\n")
    (tmp_path / "lib").symlink_to("usr/lib")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "package"),
    [
        (b"/usr/bin/curl", "curl"),
        (b"/usr/bin/ldd", "libc6"),
        (b"/usr/lib/ld.so", "libc6"),  # /lib is a link into /usr
        (b"/usr/bin/cur", ""),
        (b"/usr/bin/other", ""),
        (b"/bin/curl", ""),
        (b"/usrcurl", ""),
        (b"/home/a\nb/\xff", ""),
    ],
)
def test_dpkg_knows_whose_a_file_is(debian: Path, path: bytes, package: str) -> None:
    find_owner = open_package_database(debian)
    assert find_owner
    assert find_owner(path) == package


def test_a_diverted_file_is_of_who_put_it_aside(debian: Path) -> None:
    write(debian / "var/lib/dpkg/diversions", "/usr/bin/view\n/usr/bin/view.vim\nview\n/usr/bin/curl\n/x\n:\n")
    find_owner = open_package_database(debian)
    assert find_owner
    assert (find_owner(b"/usr/bin/view"), find_owner(b"/usr/bin/view.vim")) == ("view", "vim")


def test_a_file_that_the_administrator_put_in_the_place_of_a_package_is_of_none(debian: Path) -> None:
    write(debian / "var/lib/dpkg/diversions", "/usr/bin/curl\n/usr/bin/curl.old\n:\n")
    find_owner = open_package_database(debian)
    assert find_owner
    assert (find_owner(b"/usr/bin/curl"), find_owner(b"/usr/bin/curl.old")) == ("", "curl")


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="there is no dpkg here")
@pytest.mark.parametrize("path", ["/usr/bin/dpkg", "/usr/bin/env", "/usr/bin/bash", "/usr/sbin/nologin"])
def test_dpkg_itself_says_the_same(path: str) -> None:
    find_owner = open_package_database()
    assert find_owner
    aliases = [path, path.removeprefix("/usr")]
    said = [subprocess.run(["dpkg-query", "--search", one], capture_output=True, text=True).stdout for one in aliases]
    assert f"{find_owner(path.encode())}:" in "".join(said)


def test_pacman_knows_whose_a_file_is(tmp_path: Path) -> None:
    local = tmp_path / "var/lib/pacman/local"
    write(local / "gcc-libs-14.2-1" / "files", "%FILES%\nusr/\nusr/lib/libgcc.so\n")
    write(local / "ALPM_DB_VERSION", "9\n")
    find_owner = open_package_database(tmp_path)
    assert find_owner
    assert (find_owner(b"/usr/lib/libgcc.so"), find_owner(b"/usr/lib/lib")) == ("gcc-libs", "")


def test_rpm_is_asked(tmp_path: Path) -> None:
    tool = tmp_path / "rpm"
    tool.write_text('#!/bin/sh\n[ "$6" = /usr/bin/curl ] && echo curl && echo curl-minimal\n')
    tool.chmod(0o755)
    find_owner = RpmDatabase(str(tool)).find_owner
    assert (find_owner(b"/usr/bin/curl"), find_owner(b"/home/a b")) == ("curl", "")


def test_where_there_is_no_package_manager_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert open_package_database(tmp_path) is None
