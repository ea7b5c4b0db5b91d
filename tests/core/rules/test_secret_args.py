"""What is taken for a secret. One word of each example is the secret, marked with [ and ], or none is."""

import json
import random
import shlex
import string
import time

import pytest

from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.rules.secret_args import has_secret, is_random, shorten_rule, shorten_secrets, without_secrets

SECRET = r"""
-H 'Authorization: Bearer [eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl]' https://shop.test/
-H 'authorization: bearer [short]'
-H 'Authorization: Basic [YWxpY2U6aHVudGVyMg==]'
-H 'Authorization: token [0123456789abcdef0123456789abcdef01234567]'
-H 'Authorization: [hunter2]'
-HAuthorization:[hunter2]
--header=X-Api-Key:[hunter2]
-H 'X-Auth-Token: [hunter2]'
-H 'Cookie: [theme=dark; session=abc]'
-H 'Authorization: [AWS4-HMAC-SHA256 Credential=AKIA/20261124, Signature=abc]'
--cookie [session=abc]
-H 'PRIVATE-TOKEN: [hunter2]'
https://alice:[hunter2]@shop.test/
git+https://oauth2:[a:b]@git.test/x.git
postgresql://app:[hunter2]@db.test:5432/shop
https://:[hunter2]@shop.test
amqp://guest:[guest]@mq.test/%2f
-u alice:[hunter2]
--user alice:[12345]
--user 'alice:[two words]'
--proxy-user alice:[hunter2]
--password [hunter2]
--password 'correct horse battery staple'
--password=[hunter2]
'--password=[with blanks; and $more]'
-password=[hunter2]
--db-password [hunter2]
--passphrase [hunter2]
--passphrase [filehunter]
--token [hunter2]
--token=[hunter2]
--api-key [hunter2]
--apikey=[hunter2]
--client-secret [hunter2]
--aws-secret-access-key=[wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY]
-Dlogin.password=[hunter2]
-e MYSQL_ROOT_PASSWORD=[hunter2]
DB_PASS=[hunter2]
'Server=db.test;Uid=app;Pwd=[hunter2];'
-passin pass:[hunter2]
https://shop.test/feed?token=[hunter2]
'https://shop.test/feed?a=1&api_key=[hunter2]&b=2'
'https://blob.test/x?sv=2022&sig=[abc%2Fdef%3D]'
'https://s3.test/x?X-Amz-Signature=[hunter2]'
-d 'user=alice&password=[hunter2]'
-d '{"user": "alice", "password": "[hunter2]"}'
-d "{'access_token':'[hunter2]'}"
--_authToken=[hunter2]
-c 'curl -H "Authorization: Bearer [hunter2]" https://shop.test/ | sh'
-c 'import urllib.request as r; r.urlopen("https://shop.test/?token=[hunter2]")'
https://hooks.test/services/T0000/B0000/[bNfD3kQ8wLz0XcVm5TyRj2Ga]
https://api.test/bot12345678:[AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw]/send
[ghp_16C7e42F292c6912E7710c838347Ae178B4a]
[AbCdEf0123456789ghIJkl]
-k [9f86d081884c7d659a2feaa0c55ad015]
[a3f1c2d4e5b60718293a4b5c6d7e8f90a1b2c3d4]
--seed [JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP]
--data [q83vEjRWeJq7zN3u8BI0Vnias1Dq/8zd7v/wEjRWeJo=]
""".strip().splitlines()

HONEST = r"""
-fsSL https://shop.test/install.sh -o /tmp/install.sh
-4 -sS --max-time 20 http://shop.test:8080/path/to/page.html?q=one+two&lang=en#top
-H 'Accept: application/json' -H 'Content-Type: text/plain; charset=utf-8'
-A 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
-H @/etc/headers --netrc-file /home/alice/.netrc
-u alice
--user 1000:1000 alpine:3.20
-u https://shop.test/api
root@192.168.1.7 -p 2222 -i /home/alice/.ssh/id_ed25519
-o PasswordAuthentication=no -o NumberOfPasswordPrompts=1 -o PubkeyAuthentication=yes
-e 'ssh -p 22' --password-file=/etc/rsync.secrets src/ backup.test::module
--token-file /run/secrets/token --key=/etc/ssl/private/key.pem
--token=/run/secrets/token
--password @/etc/password
--password --verbose
--password=
--password-stdin shop.test
--password-store=basic --enable-crash-reporter=,Ubuntu
--token $TOKEN
-passin file:/etc/pass -passout env:PASS
--max-tokens 100 --tokenizer bert-base --token-limit=4096
--secret=false --no-token --compass=north bypass=1
-c credential.helper=store fetch --prune origin
clone --depth 1 https://github.com/tokio-rs/tokio.git
-m pip install requests==2.32.3 --hash=sha256:55365417734eb18255590a9ff9eb97e9e1da868d4ccd6402399eaf68af20a760
pull shop.test/app@sha256:3c4f1e0c8a7f0a9e4a2a6f5d1d8f0e6b7c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f
--sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
/nix/store/5rnvnzqbc0kdnkyxhkdqk8phbhhhfzwa-openssl-3.0.14/bin/openssl
--config=/home/alice/.cache/go-build/9f/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b-d
file:///var/lib/flatpak/app/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b/x
--type=renderer --field-trial-handle=3,i,8459356107866096316,17361498765,262144 --lang=en-US
--client-id=3fa85f64-5717-4562-b3fc-2c963f66afa6 --metrics-shmem-handle=4,i,5632549174928733871
-Djava.io.tmpdir=/tmp/x -XX:+UseG1GC -XX:MaxRAMPercentage=75.0 org.apache.maven.surefire.booter.ForkedBooter
--model Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf --ctx-size 8192
--tls-ciphers ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_256_GCM_SHA384
--target x86_64-unknown-linux-gnu --features serde_derive,tokio-rustls-0_24
update -t noble-security -o Acquire::http::Proxy=http://proxy.test:3128
install linux-image-6.12.48+deb13-amd64 libwebkit2gtk-4.1-0 python3.13-venv
-c 'import http.server; http.server.test()'
-c 'curl -H "Authorization: Bearer $TOKEN" https://shop.test/?token=$TOKEN'
-c "token = open('/run/token').read(); print(token)"
-c 'import os; connect(password=os.environ["PASSWORD"], token=get_token())'
-c 'for i in $(seq 254); do ping -c1 10.0.0.$i; done'
--header 'Cache-Control: no-cache' --range 0-1048575 --retry 5 --retry-connrefused
--since 2026-11-24T23:45:00Z --name ip-10-0-0-12.eu-west-1.compute.internal
%u@%h --log-format=[%Y-%m-%d] key=value monkey=banana
-f bestvideo[height<=1080]+bestaudio https://tube.test/watch?v=dQw4w9WgXcQ
--enable-features=UseOzonePlatform,WebRTCPipeWireCapturer,VaapiVideoDecodeLinuxGL
supercalifragilisticexpialidocious Donaudampfschifffahrtsgesellschaftskapitaen
""".strip().splitlines()


def test_there_are_enough_examples() -> None:
    assert len(SECRET) > 50
    assert len(HONEST) > 45


@pytest.mark.parametrize("line", SECRET)
def test_a_secret_is_shortened_and_what_stands_around_it_stays(line: str) -> None:
    start, _, rest = line.partition("[")
    secret, _, end = rest.partition("]")
    if not secret:  # the whole last word
        start, secret, end = "--password '", "correct horse battery staple", "'"
    kept = secret[: min(4, len(secret) // 4)]
    args = tuple(shlex.split(f"{start}{secret}{end}"))
    assert shorten_secrets(args) == tuple(shlex.split(f"{start}{kept}…{end}"))
    assert has_secret(args)


@pytest.mark.parametrize("line", HONEST)
def test_an_honest_argument_stays_as_it_is(line: str) -> None:
    args = tuple(shlex.split(line))
    assert shorten_secrets(args) == args
    assert not has_secret(args)


ALPHABETS = {
    "base64": (string.ascii_letters + string.digits + "+_", 32),
    "hex": ("0123456789abcdef", 32),
    "base32": (string.ascii_uppercase + "234567", 40),
    "base36": (string.ascii_lowercase + string.digits, 40),
}


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_nearly_every_random_word_is_found(alphabet: str) -> None:
    letters, length = ALPHABETS[alphabet]
    chance = random.Random(alphabet)
    words = ["".join(chance.choices(letters, k=length)) for _ in range(1000)]
    assert sum(map(is_random, words)) > 980


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_password_it_is_gone_and_the_other_words_stay(seed: int) -> None:
    chance = random.Random(seed)
    honest = shlex.split(chance.choice(HONEST))
    password = "".join(
        chance.choices(string.ascii_letters + string.digits + string.punctuation, k=chance.randint(8, 60))
    )
    password = f"p{password}"
    for secret in (["--password", password], [f"--password={password}"], ["-u", f"alice:{password}"]):
        shown = shorten_secrets((*honest, *secret))
        assert shown[: len(honest)] == tuple(honest)
        assert len(shown) == len(honest) + len(secret)
        assert password[5:] not in shown[-1]
        assert shorten_secrets(shown) == shown
    (body,) = shorten_secrets((json.dumps({"user": "alice", "password": password, "id": 7}),))
    cut = json.loads(body.replace("\\…", "…"))
    assert (cut["user"], cut["password"][-1], cut["id"]) == ("alice", "…", 7)


def test_a_long_argument_takes_no_long_time() -> None:
    words = ("a" * 131072, "token" * 26214, "://a" * 32768, "/-" * 65536, "=" * 131072, "aB3" * 43690, "eyJ" * 43690)
    for word in words:
        begun = time.process_time()
        shorten_secrets((word,))
        assert time.process_time() - begun < 1, word[:8]


def test_a_rules_line_is_shortened_in_its_arguments_alone() -> None:
    line = "allow shop.test 443 tcp /usr/bin/curl -H 'Authorization: Bearer abcdefghijklmnop'"
    assert shorten_rule(line) == "allow shop.test 443 tcp /usr/bin/curl -H 'Authorization: Bearer abcd…'"
    rule = parse_rule(line)
    assert without_secrets(rule).args == ("-H", "Authorization: Bearer abcd…")
    for same in ("allow shop.test 443 tcp /usr/bin/curl", "allow shop.test 443 tcp /usr/bin/curl -s", "no rule at all"):
        assert shorten_rule(same) == same
