"""Tidying: what would make the rules fewer, and what each such step would change.

A `Proposal` (proposal.py) drops rules or puts one in the place of several. It never changes the verdict of a connection
that a rule decides, and says in words what it decides beyond that. `propose` (rules_tidy.py) looks through the rules in
force, `review` (learned_review.py) through the lines of what passed without a rule, with `joins.py` for both.

What may be put in the place of what is in soundness.py: begin there. It finds the rules that matter by scope_index.py,
since ten thousand rules cannot be compared with each other. Which rule covers another is asked of precedence.py, and
what is a registrable domain of core/model/domain.py: nothing here decides that anew.
"""
