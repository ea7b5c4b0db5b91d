"""Every decision: pure values and one engine. No clock, socket, file or thread is in here.

Moments are arguments, facts of the machine come in as events, and what is to be done goes out as commands.

- `engine`: the one door, `handle(event, now)`. It asks the others, and keeps the order.
- `rules`: the language of a rules file. `policy`: the rules in force, which match and which wins. `tidy`: which of them
  could be fewer. `imports`: rules of other firewalls as lines of ours.
- `prompts`: what people are asked, what is proposed, and the rule that an answer makes.
- `dns`: which names addresses are believed to have. `tls`: the name that a connection sends itself.
- `programs`: which program a process runs. `packets`: IP, TCP and UDP as bytes. `traffic`: who talked with whom.
- `model`: the values that all share: flow, process, connection, verdict, bounded tables.

Begin with model/connection.py, then engine/engine.py.
"""
