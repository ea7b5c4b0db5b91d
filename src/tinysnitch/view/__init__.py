"""What to show, decided without a screen, a clock or a socket: pure values that every front end renders.

`PromptState` is a prompt's memory: it takes events (prompt_events.py: keys, and what the daemon says) and returns
effects, answers to send or that the person leaves. `present_prompt` makes a `PromptView` of it, all that a window or a
terminal may show. `KeyGuard` decides when a key counts: not before the question was in sight for its delay.

Every text of a program or a server is escaped here (escape.py) before it becomes a `Span`.

Inside: `pages` has the lists beside the questions, `live` who talks now, `history` the tables of what was, and `tables`
what commands print.

Begin with prompt_state.py, then prompt_view.py.
"""
