"""Traffic: rows of who talked with whom, from where they are counted to whoever wants them.

`TrafficFeed` (feed.py) is the one place: each batch of rows goes to all who listen. `listen` is for the history, which
gets what there is whenever it comes; `look` is for somebody at a screen, who gets it each second. Each batch has every
key once, and holds what was counted since the last one, so that whoever adds the batches up has the whole.

Nothing here is asked before a verdict, and none ever waits for it. Rows that find no room are counted.

With BPF the kernel's side counts all (kernel/bpf/traffic.py), and `KernelRows` (kernel_rows.py) finds whose program,
which name and which rule its numbers are. Without, what user space decides is all there is.

Read `feed.py` first. What a row is, and how rows add up: core/traffic.
"""
