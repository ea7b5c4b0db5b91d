"""vrf.py, by the kernel. This one may have no VRF, so a message about one is made by hand."""

import socket

import pytest

from tinysnitch.core.model.errors import Malformed
from tinysnitch.kernel.netlink.socket import NetlinkSocket, pack_attribute
from tinysnitch.kernel.netlink.vrf import is_vrf, read_kind

_HEAD = bytes(16)
_NAME = pack_attribute(3, b"red\0")


def test_the_loopback_and_what_is_not_there_are_none() -> None:
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        assert not is_vrf(netlink, socket.if_nametoindex("lo"))
        assert not is_vrf(netlink, 2**31 - 1)


def test_the_kind_that_a_message_tells_of() -> None:
    of_vrf = pack_attribute(18, pack_attribute(1, b"vrf\0") + pack_attribute(2, b""))
    assert read_kind(_HEAD + _NAME + of_vrf) == "vrf"
    assert read_kind(_HEAD + _NAME) == ""
    assert read_kind(_HEAD + pack_attribute(18, b"")) == ""


def test_a_message_that_is_cut_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_kind(_HEAD + _NAME[:-5])
