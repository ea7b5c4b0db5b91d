"""The commands of `tinysnitch`: each reads its words, asks the daemon through client, and prints what it says.

main.py lists them; each is imported only when it is called. `CommandGroup` suggests the right word for a mistyped one.
What commands print goes through the room output, which escapes it; errors and notes go through commandline.

`tinysnitch run` is more than a question: `ScopedRun` starts a daemon of its own (`ScopedDaemon`) and the command in a
cgroup (`JudgedCommand`), asks in the terminal, and sums up at the end.

Inside: `history` has the commands that look back, `answers` those that decide and take back, `tidy` those that go
through a list, `screens` those that take the terminal, and `completion` what a shell offers at Tab.

Begin with main.py and rules.py; for `run` with scoped_run.py.
"""
