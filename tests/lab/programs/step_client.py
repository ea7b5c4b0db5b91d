"""One connection for each line `tcp ADDRESS PORT` or `udp ADDRESS PORT`; says `ok` or the name of the error."""

import errno
import socket
import sys


def attempt(protocol: str, address: str, port: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as client:
        client.settimeout(30)
        try:
            client.connect((address, int(port)))
            if protocol == "udp":
                client.send(b"ping")
                client.recv(16)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, "TIMEOUT")
        return "ok"


for line in sys.stdin:
    print(attempt(*line.split()), flush=True)
