"""The modules of the running kernel: whether any can be loaded."""

import os
from pathlib import Path

_FOLDER = Path("/lib/modules")


def with_reason(hint: str) -> str:
    """The hint, and why no module can be loaded, if an upgrade removed those of the running kernel."""
    ours = os.uname().release
    others = [folder for folder in _FOLDER.glob("*") if folder.name != ours]
    if not others or (_FOLDER / ours).exists():
        return hint
    return f"{hint}; those of the running kernel ({ours}) are gone, as after an upgrade: restart the machine"
