"""Ports to Linux: each file translates one outside thing, and never decides.

What a person can act on is a SnitchError; what the caller has to deal with stays OSError or Malformed, and is said.
"""
