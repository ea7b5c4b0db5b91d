"""The daemon: one process that reads held packets, has the engine decide, and carries the decisions out.

The core decides and does nothing else, and the kernel's rooms translate Linux; here is what has a life in time. One
thread with an event loop does nearly all of it. What may block is done by threads (kernel/system/offload.py).

Rooms: `startup` goes from nothing to a firewall and back. `loop` has the packets and what else wakes the daemon.
`rules` loads and saves the rules file and what rules name. `control` has the clients, `requests` their answers,
`logs` what is written down, `traffic` who talks with whom, `scheduling` the timers.

Here are the values that all share: `Options` (the command line, options.py), `Instance` (the names of chains, pins and
queues, which keep two daemons apart) and `Identity` (what does not change while one runs), both in instance.py.

Begin with startup/lifecycle.py for how it all comes to be, or loop/driver.py for what happens to a packet.
"""
