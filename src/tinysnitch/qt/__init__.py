"""The prompt as a window, the command `tinysnitch-prompt`: a thin front end over view and client.

`PromptAgent` holds a `PromptState` of view, hands it keys, clicks and what the `QtDaemonLink` hears, and sends the
answers that it returns; it shows the `PromptWindow` while there is a question. The window has two pages of widgets, the
`PromptForm` with what view presents and the `HelpForm`, and reports keys, clicks and when it was painted. A screen
reader finds all that is shown, and no text of a program is ever taken for markup.

Inside: `pages` has the pages as a window, `start` the command, which puts windows, agents and links together.

Begin with prompt_agent.py; `tinysnitch-prompt --demo` (demo.py) shows every kind of question without a daemon.
"""
