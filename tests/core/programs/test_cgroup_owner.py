import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.programs.cgroup_owner import complete_owner, find_snap_owner, is_id, owners_of_cgroup

ID = "0123456789abcdef" * 4
SHORT = "container:0123456789ab"
USER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("/", ()),
        ("", ()),
        ("/system.slice/ssh.service", ("unit:ssh.service",)),
        ("/system.slice/system-getty.slice/getty@tty1.service", ("unit:getty@tty1.service",)),
        ("/system.slice/dbus-\\x2d1.service/sub", ("unit:dbus-\\x2d1.service",)),
        ("/user.slice/user-0.slice/session-3.scope", ("unit:session-3.scope",)),
        (f"/docker/{ID}", (SHORT,)),
        (f"/system.slice/docker-{ID}.scope", (SHORT,)),
        (f"/system.slice/docker-{ID}.scope/system.slice/ssh.service", (SHORT,)),
        (f"/machine.slice/libpod-{ID}.scope/container", (SHORT,)),
        (f"/machine.slice/libpod-conmon-{ID}.scope", (f"unit:libpod-conmon-{ID}.scope",)),
        (f"/kubepods/burstable/pod12-34/{ID}", (SHORT,)),
        (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/cri-containerd-{ID}.scope", (SHORT,)),
        (f"/system.slice/containerd.service/kubepods-podx.slice:cri-containerd:{ID}", (SHORT,)),
        ("/lxc/web/init.scope", ("container:web",)),
        ("/lxc/0123456789abcdef/init.scope", (SHORT,)),  # as a rule would have it
        ("/lxc.payload.web/init.scope", ("container:web",)),
        ("/machine.slice/machine-my\\x2dbox.scope/payload", ("container:my-box",)),
        ("/machine.slice/systemd-nspawn@box.service/payload", ("container:box",)),
        ("/docker/buildkit/dmtliofqsmjc9v0v6rfg1ejaa", ("container:dmtliofqsmjc9v0v6rfg1ejaa",)),
        ("/system.slice/docker-dmtliofqsmjc9v0v6rfg1ejaa.scope", ("container:dmtliofqsmjc9v0v6rfg1ejaa",)),
        ("/docker/buildkit", ()),
        ("/buildah-buildah804582799", ("container:buildah804582799",)),
        (
            f"{USER}/app.slice/app-flatpak-org.mozilla.firefox-4242.scope",
            ("flatpak:org.mozilla.firefox", "unit:user@1000.service"),
        ),
        (
            "/system.slice/snap.canonical\\x2dlivepatch.daemon.service",
            ("snap:canonical-livepatch", "unit:snap.canonical\\x2dlivepatch.daemon.service"),
        ),
        (f"{USER}/sync.service", ("unit:user@1000.service/sync.service", "unit:user@1000.service")),
        (f"{USER}/app.slice/sync.service", ("unit:user@1000.service/sync.service", "unit:user@1000.service")),
        (
            f"{USER}/user.slice/libpod-{ID}.scope",
            ("container:user@1000.service/0123456789ab", "unit:user@1000.service"),
        ),
    ],
)
def test_a_cgroups_path_tells_its_owners(path: str, owners: tuple[str, ...]) -> None:
    assert owners_of_cgroup(path) == owners


@pytest.mark.parametrize(("snap", "owners"), [("firefox", ("snap:firefox",)), ("fire", ()), (None, ())])
def test_a_snap_of_a_user_counts_where_its_own_file_runs(snap: str | None, owners: tuple[str, ...]) -> None:
    found = owners_of_cgroup(f"{USER}/app.slice/snap.firefox.firefox-8b1e.scope", snap)
    assert found == (*owners, "unit:user@1000.service")


@pytest.mark.parametrize("below", ["ssh.service", f"docker-{ID}.scope", "machine-box.scope", "lxc/web"])
def test_a_user_cannot_pass_for_the_system(below: str) -> None:
    system = {*owners_of_cgroup(f"/system.slice/{below}"), *owners_of_cgroup(f"/{below}")}
    assert not system & set(owners_of_cgroup(f"{USER}/{below}"))


@pytest.mark.parametrize(
    ("outside", "owner"),
    [
        (f"/system.slice/docker-{ID}.scope", SHORT),
        ("/lxc.payload.web", "container:web"),
        ("/machine.slice/systemd-nspawn@box.service/payload", "container:box"),
        ("/system.slice/own.service", "unit:own.service"),
    ],
)
def test_a_user_of_a_container_is_no_user_of_this_machine(outside: str, owner: str) -> None:
    """Nor is a cgroup of that name below a service that chooses the names of its cgroups."""
    assert owners_of_cgroup(f"{outside}{USER}/app.slice/sync.service") == (owner,)


@given(st.text(alphabet="/\\x2d.@-:ab1\udcff\n"))
def test_any_path_is_taken(path: str) -> None:
    assert isinstance(owners_of_cgroup(path), tuple)


@pytest.mark.parametrize(
    ("path", "snap"),
    [
        ("/snap/hello/42/bin/hello", "snap:hello"),
        ("/var/lib/snapd/snap/hello/42/bin/hello", "snap:hello"),
        ("/snap/hello", None),
        ("/home/a/snap/hello/42/bin/hello", None),
    ],
)
def test_the_snap_that_has_a_path(path: str, snap: str | None) -> None:
    assert find_snap_owner(path) == snap


@pytest.mark.parametrize(
    ("kind", "written", "word"),
    [
        ("unit", "ssh", "unit:ssh.service"),
        ("unit", "boot.mount", "unit:boot.mount"),
        ("unit", "user@1000/sync", "unit:user@1000.service/sync.service"),
        ("container", "0123456789ab" + "c" * 52, "container:0123456789ab"),
        ("container", "user@1000.service/0123456789ab" + "c" * 52, "container:user@1000.service/0123456789ab"),
        ("container", "web", "container:web"),
        ("flatpak", "org.mozilla.firefox", "flatpak:org.mozilla.firefox"),
    ],
)
def test_what_a_person_wrote_is_completed_to_the_word(kind: str, written: str, word: str) -> None:
    assert complete_owner(kind, written) == word


@pytest.mark.parametrize(
    ("name", "is_given"),
    [
        ("0123456789ab", True),
        ("user@1000.service/0123456789ab", True),
        ("a" * 25, True),
        ("buildah1", True),
        ("web", False),
        ("0123456789abc", False),
    ],
)
def test_an_id_is_told_from_a_name_that_a_person_chose(name: str, is_given: bool) -> None:
    assert is_id(name) is is_given
