"""The pages that are written for users: a package has them all, and man pages take from them."""

from pathlib import Path

FOR_DEVELOPERS = ("design", "threats")


def documents(folder: Path) -> list[Path]:
    """README and docs/ of a clone, without the reasons in docs/design and docs/threats."""
    pages = sorted((folder / "docs").rglob("*.md"))
    return [folder / "README.md", *(page for page in pages if page.parent.name not in FOR_DEVELOPERS)]
