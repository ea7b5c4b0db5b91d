"""The commands by which a person decides without a prompt: `pause`, `resume` and `mode`, for all that no rule covers;
and `undo`, which takes back what was decided.

A mode is decided by the daemon: what it does is in core/policy/decision.py, its beginning and its end are in
core/engine/engine.py, and daemon/rules/mode_keeper.py keeps it for the next daemon. What taking a change of rules back
does is decided there too (core/rules/changes.py, daemon/requests/rule_undo.py).

A command sends the wish, and shows what became of it: of the questions that were open, or of each rule, also of those
that were left as they are. The words for a mode and for what is left of it are those of the prompts
(view/answer_notice.py).

Begin with mode.py.
"""
