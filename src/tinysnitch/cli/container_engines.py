"""Container engines: what they run is in a cgroup of its own, and not in that of whoever asked for it."""

from tinysnitch.commandline.notes import print_note

_ENGINES = frozenset({"docker", "podman", "buildah", "nerdctl", "lxc", "incus", "machinectl", "systemd-nspawn"})


def tell_of_engine(command: str) -> None:
    """Otherwise the summary would say that nothing was tried."""
    name = command.rpartition("/")[2]
    if name in _ENGINES:
        print_note(f"what runs in the containers of {name} is not judged: they have cgroups of their own")
