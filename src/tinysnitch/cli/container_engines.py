"""Container engines: the containers they start are in cgroups of their own, not in that of the judged command."""

from tinysnitch.commandline.notes import print_note

_ENGINES = frozenset({"docker", "podman", "buildah", "nerdctl", "lxc", "incus", "machinectl", "systemd-nspawn"})


def tell_of_engine(command: str) -> None:
    """Say that a container engine's containers are not judged: the summary lists nothing that they tried."""
    name = command.rpartition("/")[2]
    if name in _ENGINES:
        print_note(f"what runs in containers of {name} is not judged: they have cgroups of their own")
