"""SSH keys and FIDO tokens: what stock ssh-keygen signs is accepted, and every other form of it refused."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from bundles.errors import FailedError, MalformedError, UsageError
from bundles.processes import start
from bundles.signing.keys import PublicKey, SshPrivateKey, is_encrypted, load_private
from bundles.signing.ssh import keys, private, sshsig
from bundles.signing.ssh.wire import Reader, mpint, string
from tests.peer_tools import require
from tests.signing.soft_token import SoftToken

DATA = b"the bytes that are signed\n"
WORDS = "$(four) 'words' \\ and `more`"
KINDS = [("ed25519", ""), ("ecdsa", "256"), ("ecdsa", "384")]


def keygen(*arguments: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *map(str, arguments)], input=data, capture_output=True, check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Key files that stock ssh-keygen made, by kind."""
    require("ssh-keygen")
    folder = tmp_path_factory.mktemp("ssh")
    for kind, bits in [*KINDS, ("rsa", "2048")]:
        size = ("-b", bits) if bits else ()
        keygen("-q", "-t", kind, *size, "-N", "", "-C", "officer@bravo", "-f", folder / f"{kind}{bits}")
    return {f"{kind}{bits}": folder / f"{kind}{bits}" for kind, bits in [*KINDS, ("rsa", "2048")]}


def sealed(key: Path, folder: Path) -> Path:
    """A copy of a key's file, under the passphrase WORDS."""
    copy = folder / "sealed"
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    keygen("-q", "-p", "-P", "", "-N", WORDS, "-f", copy)
    return copy


def stock_signature(key: Path, tmp_path: Path, *options: str) -> bytes:
    message = tmp_path / "message"
    message.write_bytes(DATA)
    keygen("-Y", "sign", "-f", key, "-n", sshsig.NAMESPACE, *options, message)
    return message.with_name("message.sig").read_bytes()


def public_of(key: Path) -> PublicKey:
    return PublicKey.from_pem(key.with_name(f"{key.name}.pub").read_bytes())


@pytest.mark.parametrize("name", ["ed25519", "ecdsa256", "ecdsa384", "rsa2048"])
@pytest.mark.parametrize("digest", ["sha512", "sha256"])
def test_what_stock_ssh_keygen_signs_is_accepted(made: dict[str, Path], tmp_path: Path, name: str, digest: str) -> None:
    signature = stock_signature(made[name], tmp_path, "-O", f"hashalg={digest}")
    public = public_of(made[name])
    assert public.verify(DATA, signature)
    assert not public.verify(DATA + b"\n", signature)
    assert not any(public_of(path).verify(DATA, signature) for other, path in made.items() if other != name)


def test_the_fingerprint_is_the_one_that_ssh_keygen_shows(made: dict[str, Path]) -> None:
    import base64

    for path in made.values():
        shown = keygen("-lf", path).stdout.split()[1].decode().removeprefix("SHA256:")
        assert base64.b64decode(shown + "=").hex() == public_of(path).fingerprint


@pytest.mark.parametrize("name", ["ed25519", "ecdsa256", "ecdsa384"])
def test_stock_ssh_keygen_accepts_what_our_command_signs(made: dict[str, Path], tmp_path: Path, name: str) -> None:
    private = load_private(made[name], None)
    signature = private.sign(DATA)
    assert private.public.verify(DATA, signature)
    (tmp_path / "x.sshsig").write_bytes(signature)
    (tmp_path / "allowed").write_bytes(b"officer@bravo " + private.public.to_pem())
    verify = ("-Y", "verify", "-f", tmp_path / "allowed", "-I", "officer@bravo", "-n", sshsig.NAMESPACE)
    assert b"Good" in keygen(*verify, "-s", tmp_path / "x.sshsig", data=DATA).stdout


def test_a_key_in_an_agent_signs_by_its_public_half(made: dict[str, Path], tmp_path: Path) -> None:
    require("ssh-agent", "ssh-add")
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if socket.exists():
                break
            subprocess.run(["sleep", "0.05"], check=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", made["ed25519"]], check=True, capture_output=True)
            public = tmp_path / "officer.pem"
            public.write_bytes(made["ed25519"].with_name("ed25519.pub").read_bytes())
            for held in (public, sealed(made["ed25519"], tmp_path)):
                assert not is_encrypted(held.read_bytes())
                key = load_private(held, None)
                assert key.public.verify(DATA, key.sign(DATA))
    finally:
        agent.terminate()
        agent.wait()


def test_ssh_keygens_reason_is_one_line(made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = tmp_path / "alone.pem"
    public.write_bytes(made["ecdsa256"].with_name("ecdsa256.pub").read_bytes())
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    private = load_private(public, None)
    with pytest.raises(FailedError, match="ssh-keygen did not sign") as caught:
        private.sign(DATA)
    assert "\n" not in caught.value.diagnostics()


def test_an_encrypted_file_is_opened_by_its_passphrase_alone(made: dict[str, Path], tmp_path: Path) -> None:
    file = sealed(made["ecdsa384"], tmp_path)
    assert is_encrypted(file.read_bytes())
    key = load_private(file, WORDS.encode())
    assert key.public == public_of(made["ecdsa384"])
    assert key.public.verify(DATA, key.sign(DATA))
    with pytest.raises(UsageError, match="the passphrase does not open the key"):
        load_private(file, b"other words")
    with pytest.raises(UsageError, match="the key needs its passphrase"):
        load_private(file, None)
    with pytest.raises(UsageError, match="is not encrypted"):
        load_private(made["ecdsa384"], WORDS.encode())


def test_what_a_file_says_before_it_is_opened(made: dict[str, Path]) -> None:
    for path in made.values():
        assert private.parse(path.read_bytes()) == private.Sealed(public_of(path).encoded, False, False)


@pytest.mark.parametrize("algorithm", keys.TOKENS)
@pytest.mark.parametrize(("flags", "pin"), [(0x01, False), (0x05, True)])
def test_a_tokens_file_says_whether_it_wants_the_pin(algorithm: str, flags: int, pin: bool) -> None:
    blob = SoftToken(algorithm).public.encoded
    inner = Reader(blob, "a blob")
    kind = string(inner.string())
    behind = blob[len(kind) :]
    secret = b"12341234" + kind + behind + bytes([flags]) + string(b"handle") + string(b"")
    clear = b"openssh-key-v1\0" + string(b"none") * 2 + string(b"") + b"\0\0\0\1" + string(blob)
    raw = clear + string(secret)
    data = private.BEGIN + b"\n" + base64.b64encode(raw) + b"\n-----END OPENSSH PRIVATE KEY-----\n"
    assert private.parse(data) == private.Sealed(blob, False, pin)
    assert is_encrypted(data) == pin
    for cut in range(len(clear), 0, -7):
        with pytest.raises(MalformedError):
            private.parse(private.BEGIN + base64.b64encode(raw[:cut]) + b"-----END OPENSSH PRIVATE KEY-----\n")


def test_a_child_in_a_session_of_its_own_has_no_terminal() -> None:
    done = start.run(["/bin/sh", "-c", "exec cat /proc/self/stat"], env=start.environment(), session=True)
    assert done is not None
    pid, *fields = done.stdout.rpartition(b")")[0].split(b" ", 1)[:1] + done.stdout.rpartition(b")")[2].split()
    session, terminal = fields[3], fields[4]
    assert (session, terminal) == (pid, b"0")


def test_rsa_keys_verify_and_never_sign(made: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="RSA keys verify only"):
        load_private(made["rsa2048"], None)


def test_an_ssh_private_key_stays_where_openssh_keeps_it(made: dict[str, Path]) -> None:
    private = load_private(made["ed25519"], None)
    assert isinstance(private, SshPrivateKey)
    with pytest.raises(UsageError, match="stays in OpenSSH's own file"):
        private.to_pem(b"secret")


def test_a_signature_for_another_purpose_of_ssh_does_not_count(made: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(DATA)
    keygen("-Y", "sign", "-f", made["ed25519"], "-n", "file", tmp_path / "mail")
    assert not public_of(made["ed25519"]).verify(DATA, (tmp_path / "mail.sig").read_bytes())


@pytest.mark.parametrize("name", ["ed25519", "ecdsa256"])
def test_every_changed_bit_and_every_cut_of_a_signature_file_is_refused(
    made: dict[str, Path], tmp_path: Path, name: str
) -> None:
    good, public = stock_signature(made[name], tmp_path), public_of(made[name])
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1 << place % 8
        assert not public.verify(DATA, bytes(changed))
        assert not public.verify(DATA, good[:place])


def slack(good: bytes) -> dict[str, bytes]:
    lines = good.splitlines(keepends=True)
    found = sshsig.parse(good)
    version = (1).to_bytes(4, "big")
    fields = (found.key, found.namespace, b"", found.hash_name, found.signature)

    def armour(raw: bytes) -> bytes:
        import base64

        text = base64.b64encode(raw)
        cut = [text[start : start + 70] + b"\n" for start in range(0, len(text), 70)]
        return lines[0] + b"".join(cut) + lines[-1]

    body = b"".join(map(string, fields))
    return {
        "another line length": lines[0] + b"".join(line.rstrip(b"\n") for line in lines[1:-1]) + b"\n" + lines[-1],
        "carriage returns": good.replace(b"\n", b"\r\n"),
        "bytes behind": good + b"\n",
        "bytes before": b"\n" + good,
        "bytes within": armour(b"SSHSIG" + version + body + b"\0"),
        "another version": armour(b"SSHSIG" + (2).to_bytes(4, "big") + body),
        "reserved bytes": armour(b"SSHSIG" + version + b"".join(map(string, (*fields[:2], b"x", *fields[3:])))),
        "an unknown hash": armour(b"SSHSIG" + version + b"".join(map(string, (*fields[:3], b"sha1", fields[4])))),
        "slack in the signature": armour(
            b"SSHSIG" + version + b"".join(map(string, (*fields[:4], found.signature + b"\0")))
        ),
    }


@pytest.mark.parametrize("spelling", [
    "another line length", "carriage returns", "bytes behind", "bytes before", "bytes within", "another version",
    "reserved bytes", "an unknown hash", "slack in the signature",
])  # fmt: skip
def test_another_spelling_of_a_good_signature_is_refused(made: dict[str, Path], tmp_path: Path, spelling: str) -> None:
    good = stock_signature(made["ed25519"], tmp_path)
    assert not public_of(made["ed25519"]).verify(DATA, slack(good)[spelling])


@pytest.mark.parametrize("algorithm", keys.TOKENS)
def test_a_token_counts_when_it_was_touched(algorithm: str) -> None:
    token = SoftToken(algorithm)
    assert token.public.algorithm == algorithm
    assert PublicKey.from_pem(token.public.to_pem()) == token.public
    good = token.sign(DATA)
    assert token.public.verify(DATA, good)
    assert not token.public.verify(DATA, token.sign(DATA, touched=False))
    assert not token.public.verify(DATA, token.sign(DATA, namespace="file"))
    assert not SoftToken(algorithm).public.verify(DATA, good)
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1 << place % 8
        assert not token.public.verify(DATA, bytes(changed))


@pytest.mark.parametrize("algorithm", keys.TOKENS)
def test_stock_ssh_keygen_accepts_what_the_soft_token_signs(tmp_path: Path, algorithm: str) -> None:
    require("ssh-keygen")
    token = SoftToken(algorithm)
    (tmp_path / "x.sshsig").write_bytes(token.sign(DATA))
    (tmp_path / "allowed").write_bytes(b"officer@bravo " + token.public.to_pem())
    verify = ("-Y", "verify", "-f", tmp_path / "allowed", "-I", "officer@bravo", "-n", sshsig.NAMESPACE)
    assert b"Good" in keygen(*verify, "-s", tmp_path / "x.sshsig", data=DATA).stdout


@pytest.mark.parametrize("line", [
    b"", b"ssh-ed25519", b"ssh-ed25519 AAAA", b"ssh-dss AAAAB3NzaC1kc3M= x", b"ssh-ed25519 AAAA\nssh-ed25519 AAAA\n",
    b"ssh-ed25519 " + b"!" * 8,
])  # fmt: skip
def test_what_is_not_an_ssh_key_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedError):
        keys.parse_line(line)


def test_a_key_may_not_name_another_kind_than_its_bytes(made: dict[str, Path]) -> None:
    line = made["ed25519"].with_name("ed25519.pub").read_bytes()
    with pytest.raises(MalformedError):
        PublicKey.from_pem(line.replace(b"ssh-ed25519", b"ssh-rsa", 1))


def test_numbers_have_one_form() -> None:
    for number in (1, 127, 128, 255, 256, 2**255, 2**256 - 1):
        reader = Reader(mpint(number), "it")
        assert reader.mpint() == number
        reader.end()
    for raw in (b"", b"\0", b"\0\0\1", b"\xff", b"\0\x7f"):
        with pytest.raises(MalformedError):
            Reader(string(raw), "it").mpint()
