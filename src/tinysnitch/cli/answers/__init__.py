"""The commands by which a person decides without a prompt: `pause`, `resume` and `mode`, for all that no rule covers.

A mode is decided by the daemon: what it does is in core/policy/decision.py, its beginning and its end are in
core/engine/engine.py, and daemon/rules/mode_keeper.py keeps it for the next daemon.

A command sends the wish, and shows what became of it, also of the questions that were open. The words for a mode and
for what is left of it are those of the prompts (view/answer_words.py).

Begin with mode.py.
"""
