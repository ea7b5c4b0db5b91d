"""The commands that run as root: the start with its undo, the end, and what one daemon hands to the next.

`run_daemon` (lifecycle.py) is the order of it all. Each step registers its undo before it is done, and returns what it
made: those that change the kernel are in kernel_side.py, the parts in user space in assembly.py. `Stop`
(stop_signals.py) has the signals, and `Ending` (kept_enforcement.py) says what stays in the kernel afterwards.
handover.py keeps names and arguments for the next daemon; service_notice.py tells systemd; prompt_process.py runs the
window.

The commands: `tinysnitchd` (main.py), and the netfilter rules alone, for a boot (iptables.py).

Begin with lifecycle.py.
"""
