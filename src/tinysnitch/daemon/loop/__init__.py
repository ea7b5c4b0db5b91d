"""The event loop: one thread of asyncio that turns what happens into events, and carries out the engine's commands.

`Driver` reads both queues batch by batch, hands each packet's event to the engine, and does in order what comes out.
Its `Ports` are all that it reads from and writes to. `OverloadWatch` notices when packets come faster than they are
judged.

The other parts sleep until something that they watch has changed, and then feed events to the driver: `Reloader` (the
rules file, and the facts that rules refer to), `ResolvedNames` (what systemd-resolved answers), `ProcessWatch` (the
end of processes), `NetfilterGuard` (our netfilter rules), `InterpreterWatch` and `SocketWatch` (files that the daemon
needs) and `PacketSocketNotes`.

Read `driver.py` first: the rules that it keeps stand at its top.
"""
