"""A rule as only nft makes it, without the nft program: beside it iptables-save prints nothing of its table."""

from tinysnitch.kernel.netlink.socket import (
    NETFILTER_HEADER,
    NETLINK_NETFILTER,
    NLM_F_ACK,
    NLM_F_REQUEST,
    NetlinkSocket,
    pack_attribute,
    pack_message,
    parse_error,
    parse_messages,
)

_AF_INET, _NF_TABLES, _NEW_RULE = 2, 10, 10 << 8 | 6
_CREATE, _APPEND = 0x400, 0x800  # NLM_F_*


def add_native_rule(table: str, chain: str) -> None:
    """`ct state` that is compared with nothing, in the namespace of the calling thread."""
    ct = pack_attribute(1, (1).to_bytes(4, "big")) + pack_attribute(2, bytes(4))  # NFTA_CT_DREG, NFT_CT_STATE
    expression = pack_attribute(1, pack_attribute(1, b"ct\0") + pack_attribute(2, ct))
    rule = (
        pack_attribute(1, table.encode() + b"\0")
        + pack_attribute(2, chain.encode() + b"\0")
        + pack_attribute(4, expression)
    )
    batch = NETFILTER_HEADER.pack(0, 0, _NF_TABLES)
    flags = NLM_F_REQUEST | NLM_F_ACK | _CREATE | _APPEND
    request = (
        pack_message(0x10, NLM_F_REQUEST, batch, 1)
        + pack_message(_NEW_RULE, flags, NETFILTER_HEADER.pack(_AF_INET, 0, 0) + rule, 2)
        + pack_message(0x11, NLM_F_REQUEST, batch, 3)
    )
    with NetlinkSocket(NETLINK_NETFILTER) as netlink:
        netlink.socket.send(request)
        assert [parse_error(answer.payload) for answer in parse_messages(netlink.receive())] == [0]
