"""What all commands share, those that run as root too: streams, notes, errors and exit codes, the event loop.

Each installed command begins in entry.py, which imports its module late, so that Ctrl-C during the imports leaves no
traceback. `run_command` calls the click command and turns every error into its line, its hint and its exit code.

completion.py has the scripts by which bash, zsh and fish complete a command, and what it answers them.

`print_note` and `print_error` write to standard error; `open_standard_streams` makes streams that were closed harmless.

Begin with entry.py, then command_runner.py.
"""
