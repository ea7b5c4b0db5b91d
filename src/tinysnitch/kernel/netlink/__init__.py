"""Netlink (netlink(7)), and what we ask by it: addresses and sockets.

`NetlinkSocket` (socket.py) sends requests and splits answers into messages and attributes; what cannot be framed raises
Malformed. The other two files only say what to ask and what the answers mean:

- addresses.py: `OwnAddresses` of this machine, the networks on its links and the names of interfaces, with news of
  changes; `SourceAddresses` finds the one that the kernel would send from.
- sock_diag.py: `SocketDiag` finds the socket that would take a packet, lists sockets, and ends a connection.

nf_tables.py of kernel/netfilter and the queue of kernel/nfqueue use the same framing. Begin with socket.py.
"""
