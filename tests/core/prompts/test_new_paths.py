"""Paths of which a part is new at each start."""

import pytest
from msgspec.structs import replace

from tests.core.policy.test_ruleset import CURL, by, connection
from tests.core.prompts.catalogued import catalogued
from tinysnitch.core.rules.path_pattern import compile_pattern

GO_CACHE = "/home/a/.cache/go-build/{}/{}/m"
ANSIBLE = "/root/.ansible/tmp/ansible-tmp-{}/AnsiballZ_get_url.py"


def find_lasting_pattern(path: str) -> str | None:
    return catalogued(connection(program=by(replace(CURL, program=path)))).traits.lasting_path


@pytest.mark.parametrize(
    ("path", "next_path", "pattern"),
    [
        ("/tmp/.mount_JoplinAbC123/joplin", "/tmp/.mount_Joplinz9YxWv/joplin", "/tmp/.mount_Joplin*/joplin"),
        ("/tmp/.mount_kritaAbC123/usr/bin/a", "/tmp/.mount_kritaz9YxWv/usr/bin/a", "/tmp/.mount_krita*/usr/bin/a"),
        ("/tmp/.mount_a*bAbC123/c", "/tmp/.mount_a*bz9YxWv/c", r"/tmp/.mount_a\*b*/c"),
        ("/snap/snapd/1/usr/bin/snap", "/snap/snapd/24505/usr/bin/snap", "/snap/snapd/*/usr/bin/snap"),
        ("/var/lib/snapd/snap/a/x1/b", "/var/lib/snapd/snap/a/7/b", "/var/lib/snapd/snap/a/*/b"),
        ("/tmp/_MEIUawGx7/bin/node", "/tmp/_MEI5CICLl/bin/node", "/tmp/_MEI*/bin/node"),
        ("/tmp/_MEI0016aba8ZKFKVj/b", "/tmp/_MEI0016abbcSA7M8v/b", "/tmp/_MEI*/b"),
        ("/tmp/onefile_71_179590_0-_k/app.bin", "/tmp/onefile_8_179591_9/app.bin", "/tmp/onefile_*/app.bin"),
        ("/tmp/onefile_71_179590/app.bin", "/tmp/onefile_8_179591/app.bin", "/tmp/onefile_*/app.bin"),
        ("/tmp/go-build265/b001/a.test", "/tmp/go-build3/b001/a.test", "/tmp/go-build*/b001/a.test"),
        (GO_CACHE.format("55", f"{'5a' * 32}-d"), GO_CACHE.format("0f", f"{'0f' * 32}-d"), GO_CACHE.format("*", "*")),
        (ANSIBLE.format("1795899183.75-20-6"), ANSIBLE.format("1795899193.2-21-7"), ANSIBLE.format("*")),
    ],
)
def test_the_pattern_is_for_each_start(path: str, next_path: str, pattern: str) -> None:
    assert find_lasting_pattern(path) == find_lasting_pattern(next_path) == pattern
    assert compile_pattern(pattern).fullmatch(path)
    assert compile_pattern(pattern).fullmatch(next_path)


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/curl",
        "/tmp/.mount_AbC12/joplin",
        "/tmp/.mount_JoplinAbC1234/joplin",
        "/tmp/.mount_JoplinAbC123",
        "/home/a/.mount_JoplinAbC123/joplin",
        "/tmp/.mount_Joplin/AbC123/joplin",
        "/home/a/snap/b/7/c",
        "/tmp/_MEIUawGx/bin/node",
        "/tmp/_MEIUawGx7",
        "/tmp/_MEI0016aba8ZKFKV/b",
        "/tmp/onefile_a/app.bin",
        "/tmp/onefile_71_179590_0/",
        "/tmp/go-build/b001/a.test",
        "/home/a/go-build265/b001/a.test",
        f"/home/a/.cache/go-build/55/{'5a' * 32}-a/m",
        "/root/.ansible/tmp/AnsiballZ_get_url.py",
        "/root/.ansible/tmp/ansible-tmp-mine/AnsiballZ_get_url.py",
    ],
)
def test_other_paths_have_none(path: str) -> None:
    assert find_lasting_pattern(path) is None
