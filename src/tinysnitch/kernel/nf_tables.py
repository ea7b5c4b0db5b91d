"""Deletes a whole nf_tables table over netlink, without the nft program (include/uapi/linux/netfilter/nf_tables.h)."""

import socket
import struct
from contextlib import suppress

from tinysnitch.kernel.netfilter_rules import Family
from tinysnitch.kernel.netlink import NLM_F_ACK, NLM_F_REQUEST, NetlinkSocket, pack_attribute, pack_message

NETLINK_NETFILTER = 12
_NF_TABLES = 10  # NFNL_SUBSYS_NFTABLES
_DELETE_TABLE = _NF_TABLES << 8 | 2  # NFT_MSG_DELTABLE
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11  # NFNL_MSG_BATCH_*
_TABLE_NAME = 1  # NFTA_TABLE_NAME
_GENERIC = struct.Struct("!BBH")  # struct nfgenmsg
_FAMILIES = {Family.V4: socket.AF_INET, Family.V6: socket.AF_INET6}


def delete_table(family: Family, name: str) -> None:
    """One transaction. Raises nothing: the table may be gone already, and an empty one left behind harms nobody."""
    batch = _GENERIC.pack(socket.AF_UNSPEC, 0, _NF_TABLES)
    body = _GENERIC.pack(_FAMILIES[family], 0, 0) + pack_attribute(_TABLE_NAME, name.encode() + b"\0")
    request = (
        pack_message(_BATCH_BEGIN, NLM_F_REQUEST, batch, 1)
        + pack_message(_DELETE_TABLE, NLM_F_REQUEST | NLM_F_ACK, body, 2)
        + pack_message(_BATCH_END, NLM_F_REQUEST, batch, 3)
    )
    with suppress(OSError), NetlinkSocket(NETLINK_NETFILTER) as netlink:
        netlink.socket.settimeout(5)
        netlink.socket.send(request)
        netlink.receive()  # the acknowledgement, or the error
