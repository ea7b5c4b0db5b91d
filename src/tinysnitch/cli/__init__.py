"""The commands of `tinysnitch`: each reads its words, asks the daemon through client, and prints what it says.

main.py lists them; each is imported only when it is called. `CommandGroup` suggests the right word for a mistyped one.
What commands print goes through the room output, which escapes it; errors and notes go through commandline.

`tinysnitch run` is more than a question: `ScopedRun` starts a daemon of its own (`ScopedDaemon`) and the command in a
cgroup (`JudgedCommand`), asks in the terminal, and sums up at the end.

Begin with main.py and rules.py; for `run` with scoped_run.py.
"""
