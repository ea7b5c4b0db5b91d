"""Doors to Linux: each file translates one outside thing. Raises SnitchError, never decides."""
