import os
from pathlib import Path

import pytest

from tests.bpf.packet_place import PacketPlace, entered
from tests.lab.leftovers import NETNS_FOLDER
from tests.shortage import descriptors_left
from tinysnitch.kernel.proc import netns
from tinysnitch.kernel.proc.netns import find_netns_names, read_netns_cookie, read_netns_inode


def test_the_cookie_stays_the_same() -> None:
    assert read_netns_cookie() == read_netns_cookie() != 0


@pytest.mark.privileged
def test_each_namespace_has_its_own(packet_place: PacketPlace) -> None:
    cookies, inodes = [read_netns_cookie()], [read_netns_inode()]
    for name in (packet_place.here, packet_place.there):
        with entered(name):
            cookies.append(read_netns_cookie())
            inodes.append(read_netns_inode())
        assert inodes[-1] == os.stat(NETNS_FOLDER / name).st_ino
    assert len(set(cookies)) == len(set(inodes)) == 3
    assert (read_netns_cookie(), read_netns_inode()) == (cookies[0], inodes[0])


@pytest.mark.privileged
def test_a_namespace_has_the_name_that_ip_gave_it(packet_place: PacketPlace) -> None:
    for name in (packet_place.here, packet_place.there):
        with entered(name):
            assert find_netns_names() == [name]


def test_files_that_are_no_namespace_are_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "NAMED", tmp_path / "netns")
    assert find_netns_names() == []
    netns.NAMED.mkdir()
    (netns.NAMED / "left").touch()
    (netns.NAMED / "gone").symlink_to("nowhere")
    assert find_netns_names() == []
    with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
        find_netns_names()
