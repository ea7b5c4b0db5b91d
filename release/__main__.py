"""`make release`: makes dist/ anew, of the last commit. What is not committed is not in it.

The same commit makes the same bytes, in whatever folder: time comes from the commit (SOURCE_DATE_EPOCH), paths are left
out. Another version of clang or of libbpf's headers makes other BPF objects.

`python -m release deb-amd64` makes no other packages than those.
"""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from release.packages import build_packages
from release.source import ROOT, build_wheel, export_commit

DIST = ROOT / "dist"
SUMS = "SHA256SUMS"


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    with tempfile.TemporaryDirectory(prefix="tinysnitch-release-") as folder:
        source = export_commit(ROOT, Path(folder) / "source")
        wheel = build_wheel(source, DIST)
        build_packages(source, wheel, Path(folder) / "work", DIST, sys.argv[1:])
    write_sums(DIST)


def write_sums(folder: Path) -> None:
    """As sha256sum does, which checks them by `sha256sum -c SHA256SUMS`. Also prints them, with sizes."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    lines = [(hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in files]
    (folder / SUMS).write_text("".join(f"{digest}  {path.name}\n" for digest, path in lines))
    for digest, path in lines:
        sys.stdout.write(f"{digest[:16]}  {path.stat().st_size / 1e6:6.2f} MB  {path.name}\n")


if __name__ == "__main__":
    main()
