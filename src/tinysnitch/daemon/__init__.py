"""tinysnitchd: one process, one loop, one engine."""
