"""Which file it is, and who may have changed it.

Rules name programs by path. But a path means what a process's mounts say, and a script's path is all that is known of
it. So this room answers three questions about a path:

- Is the host's file at this path the one that was executed? `is_host_file` (identity.py), by device and inode.
- Which file does a script's path lead to, over links that only root, or the user who runs it, could have placed?
  `resolve_file` (trusted_path.py).
- What is the sha256 of its content, to be shown in a prompt? `Digests` (digests.py). No verdict rests on it.

Begin with identity.py.
"""
