"""The control socket: who may use it, and how frames get to clients without holding up verdicts.

`ControlServer` (server.py) lets clients in and makes frames of the answers. Each client is a `ControlPeer` (peer.py),
which can harm no more than its own connection. `ControlClients` (clients.py) has all of them, and pushes what happens
to each as far as its right goes; `UnseenQuestions` (unseen_prompts.py) tells of questions that reach nobody. `Right`
and `Permissions` (permissions.py) say who a client is: the kernel's word on its uid, and the user and group databases,
which are asked in a thread. `ControlSocket` (socket.py) is the file.

What a request means is not known here: the server has a request handler (daemon/requests), and the messages are those
of protocol/.

Begin with server.py.
"""
