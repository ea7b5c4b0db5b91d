"""Connects to two names by turns: by_turns.py COUNT NAME NAME. Prints what became of it, name by name, as JSON.

The resolver is asked each time, since the process keeps no names.
"""

import collections
import json
import socket
import sys


def connect(name: str) -> str:
    address = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    with socket.socket() as client:
        client.settimeout(60)
        try:
            client.connect(address)
        except ConnectionRefusedError:
            return "refused"
    return "connected"


def main() -> None:
    count, *names = sys.argv[1:]
    became = [(name, connect(name)) for number in range(int(count)) for name in [names[number % len(names)]]]
    print(json.dumps({name: collections.Counter(fate for other, fate in became if other == name) for name in names}))


if __name__ == "__main__":
    main()
