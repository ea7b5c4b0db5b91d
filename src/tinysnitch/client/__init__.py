"""The client's end of the control socket, and look-ups on this machine for what is shown beside a question.

Two clients speak protocol/messages.py. `ControlClient` is the commands': it blocks, sends one request and reads its
replies. `PromptClient` is the prompts': it has no socket and no clock, takes bytes and yields the events of a prompt's
state; tui and qt have a loop each that connects, reads and writes for it. `knock` holds what both do before the daemon
hears them, `connection_error` every way in which that fails, as an error that people can act on.

The look-ups are `find_user`, `ProgramFiles` (the package and digest of a program, in a thread) and `ProcessEnds`.

Begin with prompt_client.py.
"""
