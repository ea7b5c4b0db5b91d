"""What clients may ask of the daemon, and the answers.

`RequestHandler` (handler.py) has a method for each request, and each is given the client's `Right`: a client learns and
changes no more than that covers. It reads the engine and feeds it events, as the loop does; nothing here holds state of
its own but budgets. `Counters` (counters.py) collects what `status` shows of losses and tables. `Explainer`
(explainer.py) says what would happen to a connection that nobody has made. Which rules a user may add or remove for
themselves is in rule_permission.py.

A request is answered at once. Long answers are iterators, which the control server reads piece by piece.

Begin with handler.py.
"""
