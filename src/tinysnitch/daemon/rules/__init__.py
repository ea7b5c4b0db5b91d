"""Rules, and what they mean on this machine: loaded, watched and saved for the engine.

`RuleLoader` (loader.py) reads the rules file and the facts that its rules need, and returns what changed as events; the
loop's reloader says when. `FactSource` (facts.py) gathers the facts: addresses, resolvers, /etc/hosts, and from its
three helpers those that may keep a reader waiting: `ListLoader` (lists.py), `UserIds` (users.py) and `PathFacts`
(paths.py).

These three share a rule: the loop waits a moment for something new, never for long. What was found before holds until
there is a newer answer, and what a rule names for the first time has the new rules wait while the old ones hold.

`RuleSaver` (saver.py) writes the rules that answers make, and tries again when the disk refuses them.

`ProgramsFile` (programs_file.py) reads what root adds to the catalogue of programs, which proposals are made with.

Begin with loader.py.
"""
