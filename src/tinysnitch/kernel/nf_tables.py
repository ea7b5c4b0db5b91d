"""Deletes a whole nf_tables table over netlink, without the nft program (include/uapi/linux/netfilter/nf_tables.h)."""

import errno
import socket
from contextlib import suppress

from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel.netfilter_rules import Family
from tinysnitch.kernel.netlink import (
    NETFILTER_HEADER,
    NETLINK_NETFILTER,
    NLM_F_ACK,
    NLM_F_REQUEST,
    NetlinkSocket,
    pack_attribute,
    pack_message,
    parse_attributes,
    parse_error,
    parse_messages,
)

_NF_TABLES = 10  # NFNL_SUBSYS_NFTABLES
_DELETE_TABLE = _NF_TABLES << 8 | 2  # NFT_MSG_DELTABLE
_GET_GENERATION = _NF_TABLES << 8 | 16  # NFT_MSG_GETGEN
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11  # NFNL_MSG_BATCH_*
_BATCH_GENERATION = 1  # NFNL_BATCH_GENID
_GENERATION = 1  # NFTA_GEN_ID
_TABLE_NAME = 1  # NFTA_TABLE_NAME
_FAMILIES = {Family.V4: socket.AF_INET, Family.V6: socket.AF_INET6}


def read_generation() -> int:
    """The number of the rule set as it is now; each change by anybody makes it another."""
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            answer = netlink.query(_GET_GENERATION, NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, 0))
    except OSError as error:
        raise SnitchError(f"nf_tables cannot be asked: {error.strerror}") from None
    return int.from_bytes(parse_attributes(answer.payload[NETFILTER_HEADER.size :])[_GENERATION], "big")


def delete_table(family: Family, name: str, generation: int) -> bool:
    """One transaction, void if the rule set is no longer the one of that generation: nobody's new rule goes with it.

    False: it was void. Raises nothing: the table may be gone already, and an empty one left behind harms nobody.
    """
    batch = NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, _NF_TABLES)
    expected = pack_attribute(_BATCH_GENERATION, generation.to_bytes(4, "big"))
    body = NETFILTER_HEADER.pack(_FAMILIES[family], 0, 0) + pack_attribute(_TABLE_NAME, name.encode() + b"\0")
    request = (
        pack_message(_BATCH_BEGIN, NLM_F_REQUEST, batch + expected, 1)
        + pack_message(_DELETE_TABLE, NLM_F_REQUEST | NLM_F_ACK, body, 2)
        + pack_message(_BATCH_END, NLM_F_REQUEST, batch, 3)
    )
    with suppress(OSError), NetlinkSocket(NETLINK_NETFILTER) as netlink:
        netlink.socket.settimeout(5)
        netlink.socket.send(request)
        answers = parse_messages(netlink.receive())  # the acknowledgement, or the error
        return all(parse_error(answer.payload) != errno.ERESTART for answer in answers)
    return True
