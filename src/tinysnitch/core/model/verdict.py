"""The three words that rules, decisions and the history share."""

from enum import Enum


class Verdict(Enum):
    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"

    __hash__ = object.__hash__  # each member is one object; Enum's own hash, in Python, is slow at every look-up
