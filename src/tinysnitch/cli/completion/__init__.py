"""What a shell offers at Tab for commands of `tinysnitch`: words of rules, names of lists and groups, open questions.

Each function is given to click with an argument or an option (`shell_complete`), and returns the words that begin with
what stands at the cursor. How they get into a line of bash, zsh or fish is not known here (commandline/completion.py).

from_daemon.py asks the daemon, with the right of whoever presses Tab. A Tab is no place for errors: without a daemon or
the right to ask it there are fewer words.

rule_columns.py has the columns of a rule, out of the tables that the parser reads.

Begin with rule_columns.py.
"""
