"""The commands that take the terminal: `prompt`, and `top`, which can also print.

Each only reads its words, and opens what tui shows; that is imported when it is needed, as no other command needs it.
`tinysnitch` without a command opens the same program as `top`, on its first page (main.py).

With `--once` and `--json` `top` prints what the daemon tells for a while, and takes no terminal.

Begin with top.py.
"""
