"""What the rest of kernel/ stands on: clocks, users, limits, and work that may block.

- clock.py: `Instant`, read where time enters; the core never reads a clock.
- offload.py: `Offload`, threads for whatever a user or a slow disk could hold up, with a limit for each wait and a
  quota for each user. Whoever reads a path or a process of somebody else goes through it.
- proc_place.py: a mount of proc(5) that no user can lock.
- users.py: uids and groups by name, with failures told from users that do not exist.
- resources.py, kernel_modules.py, libcrypto.py: descriptors and memory, loadable modules, and the AES that QUIC needs.

Begin with offload.py: its docstring says what can hang, and why.
"""
