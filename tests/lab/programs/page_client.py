"""Opens a page as a browser does: resolves every NAME:PORT of its arguments and connects there, all at once.

Prints as JSON how many were `ok` and how many were not.
"""

import json
import socket
import sys
import threading
from collections import Counter


def load(resource: str) -> None:
    name, port = resource.rsplit(":", 1)
    try:
        address = socket.getaddrinfo(name, int(port), socket.AF_INET, socket.SOCK_STREAM)[0][4]
        with socket.socket() as connection:
            connection.settimeout(120)
            connection.connect(address)
        results["ok"] += 1
    except OSError as error:
        results[str(error)] += 1


results: Counter[str] = Counter()
threads = [threading.Thread(target=load, args=(resource,)) for resource in sys.argv[1:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(results))
