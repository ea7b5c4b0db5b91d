"""Processes, their namespaces and cgroups, as /proc and the kernel's file systems show them.

Everything here may be gone a moment later: functions return None or nothing then, and a pid is always checked against
the start time of its process, since the next one may have the same pid.

- procfs.py: `LiveProcess` and its parts: arguments, user, sockets. Begin here.
- cgroups.py: `CgroupPaths`, from a cgroup's id to its path; and the cgroup of `tinysnitch run`.
- pidfd.py: notice of a process's end, and the cookie of a socket that another process holds.
- environment.py, mounts.py, netns.py, packet_sockets.py: one table each, read and parsed.

Any user can make a read of their own processes hang (FUSE, locked folders), so such reads go through kernel/system.
"""
