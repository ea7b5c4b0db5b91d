"""Keeps addresses of names, as browsers do: asks for all names first, then connects by TLS for each of them.

keeping_client.py NAME NAME ... All have one address. Prints what became of each connection, as JSON.
"""

import json
import socket
import ssl
import sys


def fetch(address: tuple[str, int], name: str) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(address, 60) as client, context.wrap_socket(client, server_hostname=name):
            return "answered"
    except ConnectionError as error:
        return type(error).__name__


def main() -> None:
    names = sys.argv[1:]
    for name in names:
        address = socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    print(json.dumps({name: fetch(address, name) for name in names}))


if __name__ == "__main__":
    main()
