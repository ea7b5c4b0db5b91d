"""Readable whenever anybody has changed the nf_tables rule set of our network namespace.

The kernel tells of each transaction (nf_tables_commit_notify() in net/netfilter/nf_tables_api.c). Of what
iptables-legacy changes it tells nothing.
"""

from tinysnitch.kernel.netlink.socket import NETLINK_NETFILTER, NetlinkSocket

_GROUPS = 1 << 7 - 1  # NFNLGRP_NFTABLES, include/uapi/linux/netfilter/nfnetlink.h


class NetfilterNews(NetlinkSocket):
    def __init__(self) -> None:
        super().__init__(NETLINK_NETFILTER, _GROUPS)
        self.socket.setblocking(False)
