"""A TLS server that prints the names that it is told: `hello_server.py PORT CERTIFICATE`."""

import socket
import ssl
import sys
import threading

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2])
context.sni_callback = lambda _socket, name, _context: print(name, flush=True)
server = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)


def serve(client: socket.socket) -> None:
    try:
        context.wrap_socket(client, server_side=True).close()
    except OSError:
        client.close()


print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=[server.accept()[0]], daemon=True).start()
