"""The prompt for the terminal: thin front ends over view and client, which decide nothing.

`PromptApp` fills the terminal, with Textual; `PlainPrompt` prints lines, for screen readers, dumb terminals and
`tinysnitch run`. Both hold a `PromptState` of view, hand it keys and what the `DaemonLink` hears, draw what view
presents of it, and send the answers that it returns. What is theirs alone is the terminal: who may hold it, what its
keys send, and whether it has shown what was written (`PaintReport`), before which no key counts.

Inside, `pages` has the prompt with further pages beside it.

Begin with plain_prompt.py, which has no toolkit in between.
"""
