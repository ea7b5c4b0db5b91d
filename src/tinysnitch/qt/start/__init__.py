"""The command `tinysnitch-prompt`: reads its words, and puts windows, agents and links together.

main.py has the options, and imports Qt only when it is about to run, so that a wrong option is told without it.
application.py makes the window of questions with its agent, and the one of the pages, which opens from it; with
`--monitor` the pages alone.

The window of the pages is made when it is opened first: a prompt that only waits for questions stays small.

Begin with main.py.
"""
