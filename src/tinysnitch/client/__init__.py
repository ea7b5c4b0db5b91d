"""The other end of the daemon's control socket."""
