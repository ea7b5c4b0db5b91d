"""The values that all rooms share. Nothing here decides anything, and nothing here imports another room.

A `Flow` (flow.py) is a protocol, a direction and both ends. An `Attribution` (process.py) says to which `Process` it
belongs, if that is known. Together with the names of the remote they are a `Connection` (connection.py): all that a
rule can test. What is decided about it is a `Verdict`, which the kernel remembers by a `VerdictKey` (verdict.py).

A name has one spelling (domain.py), and so has an address (flow.py). Whatever is remembered stands in a table with a
bound (tables.py): `BoundedTable`, or `ClaimedTable` where no user may push out what others use. A moment is an
`Instant` on both clocks (clock.py). Errors are sorted by who must act (errors.py).

Begin with connection.py, then process.py.
"""
