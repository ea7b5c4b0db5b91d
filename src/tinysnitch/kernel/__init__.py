"""Ports to Linux: each inner room translates one interface of the kernel, and never decides.

What a person can act on is a SnitchError; what the caller has to deal with stays OSError or Malformed, and is said.

- `nfqueue`: held packets in, verdicts out. `netfilter`: our rules, into the kernel and out of it again.
- `bpf`: loads the BPF programs, asks and writes their maps. `attribution`: whose a packet is.
- `proc`: processes, namespaces and cgroups. `files`: which file it is, and who may change it.
- `netlink`: addresses and sockets. `resolver`: who looks up names on this machine.
- `system`: what the others stand on: clocks, users, limits, and work that may block.

Begin with nfqueue/queue.py for the way of a packet, or attribution/attribution.py for its program.
"""
