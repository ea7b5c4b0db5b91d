"""The engine decides: events go in by one door, commands come out. It never reads a socket, a clock or a file.

`Engine` (engine.py) is the door. `handle(event, now)` takes one of events.py and yields those of commands.py, which
the driver carries out in order. `decide(connection, now)` foretells what it would do, and changes nothing.

What it remembers has a file each: open_prompts.py the prompts and the flows that are held for them, with their quotas;
verdict_writer.py how a decision gets into the kernel, and verdict_cache.py what is there now. server_name_check.py
compares with the rules what a connection says of its remote. records.py is what the log and the history tell.

Rules are in core/policy, names in core/dns, what an answer means in core/prompts: the engine asks these, and keeps the
order. Begin with engine.py, from `_packet_queued` on.
"""
