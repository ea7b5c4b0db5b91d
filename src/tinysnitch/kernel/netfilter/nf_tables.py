"""nf_tables over netlink, without the nft program: whole tables, and rules of those that iptables cannot read.

The numbers are those of include/uapi/linux/netfilter/nf_tables.h.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.netfilter.rules import Family
from tinysnitch.kernel.netlink.socket import (
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
_GET_TABLE = _NF_TABLES << 8 | 1  # NFT_MSG_GETTABLE
_DELETE_TABLE = _NF_TABLES << 8 | 2  # NFT_MSG_DELTABLE
_GET_CHAIN = _NF_TABLES << 8 | 4  # NFT_MSG_GETCHAIN
_DELETE_CHAIN = _NF_TABLES << 8 | 5  # NFT_MSG_DELCHAIN
_GET_RULE = _NF_TABLES << 8 | 7  # NFT_MSG_GETRULE
_DELETE_RULE = _NF_TABLES << 8 | 8  # NFT_MSG_DELRULE
_GET_GENERATION = _NF_TABLES << 8 | 16  # NFT_MSG_GETGEN
_NON_RECURSIVE = 0x100  # NLM_F_NONREC, include/uapi/linux/netlink.h
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11  # NFNL_MSG_BATCH_*
_BATCH_GENERATION = 1  # NFNL_BATCH_GENID
_GENERATION = 1  # NFTA_GEN_ID
_TABLE_NAME = 1  # NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE
_CHAIN_NAME = 3  # NFTA_CHAIN_NAME
_RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS = 2, 3, 4  # NFTA_RULE_*
# From a rule's expressions, of which the last counts, to the chain that its verdict leads to: NFTA_LIST_ELEM,
# NFTA_EXPR_DATA, NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN.
_TO_TARGET = (1, 2, 2, 2, 2)
_EXPRESSION_NAME, _VERDICT_EXPRESSION = 1, b"immediate\0"  # NFTA_EXPR_NAME
_PATIENCE_S = 5.0  # until an acknowledgement comes
# NFPROTO_*, include/uapi/linux/netfilter.h, as nft calls them.
_NAMES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_FAMILIES = {Family.V4: socket.AF_INET, Family.V6: socket.AF_INET6}


class TableRule(msgspec.Struct, frozen=True):
    chain: str
    handle: int  # of this rule alone, as long as the table is there
    target: str  # the chain that it leads to, "" when there is none


def read_generation() -> int:
    """The number of the rule set as it is now; it changes with each change that anybody makes."""
    with _asking() as netlink:
        answer = netlink.query(_GET_GENERATION, NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, 0))
    return int.from_bytes(parse_attributes(answer.payload[NETFILTER_HEADER.size :])[_GENERATION], "big")


def list_tables() -> list[str]:
    """Of all families, as nft names them: `inet firewalld`."""
    with _asking() as netlink:
        found = netlink.dump(_GET_TABLE, NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, 0))
    return [
        f"{_NAMES.get(each.payload[0], each.payload[0])} "
        f"{_text(parse_attributes(each.payload[NETFILTER_HEADER.size :])[_TABLE_NAME])}"
        for each in found
    ]


def list_chains(family: Family, table: str) -> list[str]:
    return [_text(chain[_CHAIN_NAME]) for chain in _dump(_GET_CHAIN, family, table)]


def list_rules(family: Family, table: str) -> list[TableRule]:
    """In their order within each chain."""
    return [
        TableRule(
            _text(rule[_RULE_CHAIN]),
            int.from_bytes(rule[_RULE_HANDLE], "big"),
            _find_target(rule.get(_RULE_EXPRESSIONS, b"")),
        )
        for rule in _dump(_GET_RULE, family, table)
    ]


def delete_rule(family: Family, table: str, chain: str, handle: int) -> None:
    """Raises nothing: it may be gone already."""
    body = _pack_name(_TABLE_NAME, table) + _pack_name(_RULE_CHAIN, chain)
    _change(_DELETE_RULE, family, body + pack_attribute(_RULE_HANDLE, handle.to_bytes(8, "big")))


def delete_table(family: Family, name: str, generation: int) -> bool:
    """In one transaction, which fails if the rule set has another generation by now: so no new rule goes with it.

    False: it failed for that. Raises nothing: the table may be gone already, and an empty one left behind harms nobody.
    """
    return _change(_DELETE_TABLE, family, _pack_name(_TABLE_NAME, name), _expect(generation))


def delete_chain(family: Family, table: str, name: str, generation: int) -> bool:
    """The same for a chain; one with a rule in it stays."""
    body = _pack_name(_TABLE_NAME, table) + _pack_name(_CHAIN_NAME, name)
    return _change(_DELETE_CHAIN, family, body, _expect(generation), flags=_NON_RECURSIVE)


def _pack_name(kind: int, name: str) -> bytes:
    return pack_attribute(kind, name.encode() + b"\0")


def _expect(generation: int) -> bytes:
    return pack_attribute(_BATCH_GENERATION, generation.to_bytes(4, "big"))


def _change(kind: int, family: Family, body: bytes, expected: bytes = b"", *, flags: int = 0) -> bool:
    """False: the rule set is no longer the expected one."""
    batch = NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, _NF_TABLES)
    request = (
        pack_message(_BATCH_BEGIN, NLM_F_REQUEST, batch + expected, 1)
        + pack_message(
            kind, NLM_F_REQUEST | NLM_F_ACK | flags, NETFILTER_HEADER.pack(_FAMILIES[family], 0, 0) + body, 2
        )
        + pack_message(_BATCH_END, NLM_F_REQUEST, batch, 3)
    )
    with suppress(OSError), NetlinkSocket(NETLINK_NETFILTER) as netlink:
        netlink.socket.settimeout(_PATIENCE_S)
        netlink.socket.send(request)
        answers = parse_messages(netlink.receive())  # the acknowledgement, or the error
        return all(parse_error(answer.payload) != errno.ERESTART for answer in answers)
    return True


def _dump(kind: int, family: Family, table: str) -> list[dict[int, bytes]]:
    """The attributes of each entry in the table. Some kernels list entries of other tables, too."""
    with _asking() as netlink:
        found = netlink.dump(kind, NETFILTER_HEADER.pack(_FAMILIES[family], 0, 0))
    all_of_them = (parse_attributes(message.payload[NETFILTER_HEADER.size :]) for message in found)
    return [attributes for attributes in all_of_them if _text(attributes[_TABLE_NAME]) == table]


@contextmanager
def _asking() -> Iterator[NetlinkSocket]:
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as netlink:
            yield netlink
    except OSError as error:
        raise SnitchError(f"nf_tables cannot be asked: {error.strerror}") from None


def _find_target(expressions: bytes) -> str:
    """A jump is the last expression of its rule."""
    last = parse_attributes(expressions).get(_TO_TARGET[0], b"")
    if parse_attributes(last).get(_EXPRESSION_NAME) != _VERDICT_EXPRESSION:
        return ""
    for step in _TO_TARGET[1:]:
        last = parse_attributes(last).get(step, b"")
    return _text(last)


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode(errors="replace")
