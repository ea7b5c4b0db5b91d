"""The other end of the daemon's control socket, and look-ups on this machine for what is shown beside a question."""
