"""The other end of the daemon's control socket, and what is shown beside a question, looked up on this machine."""
