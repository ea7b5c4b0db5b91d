"""Prompts: what people are asked about a connection, what is proposed to them, and the rule that their answer makes.

A `Prompt` (prompt.py) is the value that clients show. Connections with an equal `PromptKey` share one. `with_asking`
(asking.py) adds to a connection what the rules that ask about it test, since an answer's rule has to be narrower.
`choose_first` (proposal.py) makes the `Choice` (choice.py) that is proposed, and `learn_proposal` (learned_proposal.py)
a wider one where earlier answers agree. `rule_for_choice` (answer.py) makes the rule of a choice, so that the line that
is shown is the line that is kept.

The other files say what will be different next time, and so is left out of a proposal: catalogue.py with programs.toml
(what is known of single programs), negotiated_ports.py, and lan_traffic.py (one rule for all machines of the link).

Which prompts are open, and what is held for them, is in core/engine/open_prompts.py. Begin with answer.py.
"""
