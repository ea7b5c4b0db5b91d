"""Packets in, verdicts out: the two NFQUEUEs of a daemon.

`Queue` is one queue over netlink. It hands out a `QueuedPacket` for each frame that a netfilter rule sent there, and
sends verdicts back, many in one message. The first queue holds packets that need a decision; the other one holds DNS
messages, and what connections without a name send, only to be read.

`Intake` says what a packet is before the engine sees it: `Judge` with its event, `Hold`, `Drop` or `Pass`. It makes
the event by `PacketEvents`, and asks `NatReplies` whether a packet answers a translated question.

`VerdictSink` carries out each `VerdictCommand` of the engine: it writes the verdict into the kernel's cache, and lets
the packet walk its chain again.

Read `intake.py` first, then `verdicts.py`.
"""
