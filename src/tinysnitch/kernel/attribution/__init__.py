"""Whose a packet is: from a flow to the process behind it.

`Attributor` (attribution.py) is what the packet loop asks. It has one of two sources, and bounds what asking may cost:

- `BpfAttributor` reads the maps that the BPF programs fill: a flow's socket cookie and owner, and what the owner runs.
- `ProcfsAttributor`, where there is no BPF, finds the socket by sock_diag and its holder in /proc.

Both end in `ProcessBuilder`, which makes a `Process` for rules and prompts of an `Image`: the program's name, the
script that an interpreter runs, parents, container. `SocketHolders` finds out who holds a socket that was passed on; it
scans /proc in pieces, and raises `ScanNotDue` while a packet has to wait for that. bootstrap.py writes what is older
than the daemon into the maps, once.

What cannot be proved is UNKNOWN: no guess becomes an attribution. Begin with attribution.py, then bpf_attribution.py.
"""
