"""Like by_turns.py, but asks systemd-resolved by its socket (varlink), as nss-resolve does."""

import json
import socket

import by_turns

ASKED = "/run/systemd/resolve/io.systemd.Resolve"


def ask(name: str, port: int, *_hints: object) -> list[tuple[None, None, None, None, tuple[str, int]]]:
    """Takes the place of getaddrinfo(); finds one IPv4 address."""
    parameters = {"name": name, "family": socket.AF_INET, "flags": 0}
    question = json.dumps({"method": "io.systemd.Resolve.ResolveHostname", "parameters": parameters})
    with socket.socket(socket.AF_UNIX) as resolved:
        resolved.connect(ASKED)
        resolved.sendall(question.encode() + b"\0")
        said = b""
        while not said.endswith(b"\0"):
            said += resolved.recv(4096)
    (address,) = json.loads(said[:-1])["parameters"]["addresses"]
    return [(None, None, None, None, (socket.inet_ntoa(bytes(address["address"])), port))]


if __name__ == "__main__":
    socket.getaddrinfo = ask  # type: ignore[assignment]
    by_turns.main()
