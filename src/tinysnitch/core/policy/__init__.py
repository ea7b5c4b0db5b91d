"""The rules in force: which of them match a connection, and which one wins.

`ActiveRules` (active_rules.py) is the door: the rules of the file and the temporary ones. It counts generations, and
ends rules whose time is over. It holds a `Ruleset` (ruleset.py), which finds the rules that match, drops each that has
a narrower one beside it (precedence.py), and lets the strictest verdict of the rest win. What comes out is a `Decision`
(decision.py): a verdict with its reason, and how long and how widely it may be remembered.

To find the rules that match, each rule and each connection is given keys (rule_keys.py), by which rule_index.py files
the rules. What the words of rules stand for on this machine now is a value, `Facts` (facts.py); references.py says
which facts a set of rules needs. user_rules.py says which rules users may make for themselves.

Nothing here reads a clock or a file: moments and facts are arguments. Begin with ruleset.py: its five rules on top are
the contract.
"""
