import os

import pytest

from tests.kernel.packet_place import PacketPlace, entered
from tests.lab.leftovers import NETNS_FOLDER
from tinysnitch.kernel.netns import read_netns_cookie, read_netns_inode


def test_the_cookie_stays_the_same() -> None:
    assert read_netns_cookie() == read_netns_cookie() != 0


@pytest.mark.privileged
def test_each_namespace_has_its_own(packet_place: PacketPlace) -> None:
    cookies, inodes = [read_netns_cookie()], [read_netns_inode()]
    for netns in (packet_place.here, packet_place.there):
        with entered(netns):
            cookies.append(read_netns_cookie())
            inodes.append(read_netns_inode())
        assert inodes[-1] == os.stat(NETNS_FOLDER / netns).st_ino
    assert len(set(cookies)) == len(set(inodes)) == 3
    assert (read_netns_cookie(), read_netns_inode()) == (cookies[0], inodes[0])
