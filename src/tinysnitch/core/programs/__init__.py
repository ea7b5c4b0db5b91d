"""Which program runs: the name that rules have for it.

A process is named by its executable, or by the script that a known interpreter runs. `identify_program` (program.py)
finds that out from an `Invocation`: executable, arguments, working directory. interpreters.py has the options of each
interpreter that are needed to tell a script from what an option takes.

A process also has owners: the systemd unit, container, flatpak or snap that the path of its cgroup names
(`owners_of_cgroup` in cgroup_owner.py).

Arguments and cgroups below a session are chosen by users. So in doubt a process is named by its interpreter, and what
a user names never looks like something of the system. Begin with program.py.
"""
