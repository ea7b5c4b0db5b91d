"""As much of an FTP server (RFC 959, 2428) as a client needs to fetch files: `ftp_server.py ADDRESS PORT`.

Each file is sent over a connection of its own: at a port that the kernel chose here (passive), or to one that the
client named (active).
"""

import socket
import socketserver
import sys


class Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._find_data = self._refuse
        self._tell("220 hello")
        for line in self.rfile:
            verb, _, argument = line.decode().strip().partition(" ")
            if verb == "QUIT":
                return
            self._obey(verb, argument)

    def _obey(self, verb: str, argument: str) -> None:
        if verb == "EPSV":
            self._listen()
        elif verb == "EPRT":
            _, _kind, address, port, _ = argument.split("|")
            self._find_data = lambda: socket.create_connection((address, int(port)))
            self._tell("200 there")
        elif verb == "RETR":
            self._send()
        elif verb in ("USER", "TYPE"):
            self._tell("230 welcome")
        else:
            self._tell("502 not here")

    def _listen(self) -> None:
        listening = socket.create_server((self.server.server_address[0], 0))
        self._find_data = lambda: listening.accept()[0]
        self._tell(f"229 here (|||{listening.getsockname()[1]}|)")

    def _send(self) -> None:
        self._tell("150 it comes")
        with self._find_data() as data:
            data.sendall(b"welcome\n")
        self._tell("226 that was it")

    def _tell(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _refuse(self) -> socket.socket:
        raise ValueError("the client has not said where to")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server((sys.argv[1], int(sys.argv[2])), Talk) as server:
    print("listening", flush=True)
    server.serve_forever()
