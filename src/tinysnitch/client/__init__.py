"""What a front end has beside what it shows: the daemon's control socket, and what people read, looked up on this machine."""
