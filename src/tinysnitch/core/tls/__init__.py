"""The server name that a connection sends itself: in the ClientHello of TLS, over TCP or in QUIC.

`ServerNameReader` (server_names.py) is the door: it gets the packets of connections under inspection, and says
`ServerName` once the reading is over. client_hello.py cuts the message out of TLS records and finds the name in it.
quic_initial.py decrypts Initial packets, whose keys anybody can compute, and puts the message together from its pieces.

What cannot be read has no name. A program may send any name: so none that is read here makes a rule allow anything.
That rule is kept by core/engine/server_name_check.py, which also says which connections are inspected.

Begin with server_names.py.
"""
