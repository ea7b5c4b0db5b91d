"""`tinysnitch doctor` in namespaces of its own, where a shell script has broken something before it."""

import json
import subprocess
import sys
from pathlib import Path

DOCTOR = str(Path(sys.executable).parent / "tinysnitch")


def examine(script: str, *front: str, socket: str = "/run/nobody-listens") -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and what was found by name. `front` is the front of the doctor's command line."""
    command = [*front, DOCTOR, "doctor", "--json", "--socket", socket]
    done = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-ec", f'{script}\nexec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        env={"PATH": f"{Path(DOCTOR).parent}:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
    )
    assert not done.stderr, done.stderr
    return done.returncode, {found["name"]: found for found in map(json.loads, done.stdout.splitlines())}
