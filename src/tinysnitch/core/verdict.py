"""The three words that rules, decisions and the history share."""

from enum import Enum


class Verdict(Enum):
    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"
