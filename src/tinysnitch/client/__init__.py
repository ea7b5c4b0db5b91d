"""The other end of the daemon's control socket, and what people read beside, looked up on this machine."""
