"""README.txt alone is enough: its commands, typed as they stand, check and unpack a bundle."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from urllib.request import Request, urlopen

import msgspec
import pytest

from bundles import limits
from bundles.build import sums_of
from bundles.format import readme
from bundles.format.manifest import Artifact, Required
from bundles.oci.digest import Digest
from bundles.oci.manifest import DOCKER_MANIFEST, MANIFEST_TYPES
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.signature_files import files_of
from tests.bundles.docker_types import TypedBundle
from tests.bundles.small import SmallBundle
from tests.peer_tools import require
from tests.peers.stock import docker_registry_in
from tests.signing.soft_token import SoftToken

OTHER = "f" * 16


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("bundle"), media=2)


def commands(bundle: SmallBundle | TypedBundle) -> list[str]:
    """The lines to type: indented by four, without the list of media."""
    return lines_of((bundle.folder / "README.txt").read_text())


def lines_of(text: str) -> list[str]:
    lines = text.splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and not line.startswith("    medium")]


def shell(command: str, folder: Path) -> None:
    subprocess.run(["bash", "-euc", command], cwd=folder, check=True, capture_output=True)


def test_the_checking_commands_pass_on_each_medium_alone(bundle: SmallBundle, tmp_path: Path) -> None:
    require("openssl", "sha256sum")
    for number, folder in enumerate(bundle.folders):
        copy = Path(shutil.copytree(folder, tmp_path / str(number)))
        (copy / "pub.pem").write_bytes(bundle.key.public.to_pem())
        verify, compare = commands(bundle)[:2]
        assert verify.startswith("openssl dgst -sha256 -verify pub.pem -signature SHA256SUMS.")
        assert compare == "sha256sum -c --strict --ignore-missing SHA256SUMS"
        shell(f"{verify} && {compare}", copy)


def test_the_checking_commands_fail_on_one_changed_bit(bundle: SmallBundle, tmp_path: Path) -> None:
    require("sha256sum")
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    data = bytearray((copy / "volumes/0001.7z").read_bytes())
    data[1000] ^= 1
    (copy / "volumes/0001.7z").write_bytes(data)
    with pytest.raises(subprocess.CalledProcessError):
        shell(commands(bundle)[1], copy)


def test_the_unpacking_commands_give_every_blob(bundle: SmallBundle, tmp_path: Path) -> None:
    require("7z", "sha256sum")
    for folder in bundle.folders:
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for command in commands(bundle)[2:5]:
        shell(command, tmp_path)
    for digest, data in bundle.store.blobs.items():
        assert (tmp_path / "OUT/blobs" / digest.path).read_bytes() == data


def test_it_says_which_volumes_each_medium_carries(bundle: SmallBundle) -> None:
    text = bundle.signed.readme.decode()
    for number, folder in enumerate(bundle.folders, 1):
        names = sorted(path.name for path in (folder / "volumes").iterdir())
        line = re.search(rf"medium {number}: (.*)", text)
        assert line is not None
        assert names[0] in line[1]
        assert names[-1] in line[1]


def test_it_is_signed_and_the_same_on_every_medium(bundle: SmallBundle) -> None:
    digest = hashlib.sha256(bundle.signed.readme).hexdigest()
    assert f"{digest}  README.txt\n".encode() in bundle.signed.sums
    assert {(folder / "README.txt").read_bytes() for folder in bundle.folders} == {bundle.signed.readme}


def test_of_several_signers_each_has_a_key_file_of_its_own(bundle: SmallBundle) -> None:
    keyid = bundle.key.public.keyid
    manifest = msgspec.structs.replace(bundle.manifest, signers=sorted([keyid, OTHER]))
    text = readme.render(manifest, {keyid: "ecdsa-p256", OTHER: "ecdsa-p384"}).decode()
    assert f"openssl dgst -sha256 -verify {keyid}.pem -signature SHA256SUMS.{keyid}.sig SHA256SUMS" in text
    assert f"openssl dgst -sha384 -verify {OTHER}.pem -signature SHA256SUMS.{OTHER}.sig SHA256SUMS" in text


def test_a_delta_says_that_alone_it_is_not_complete(bundle: SmallBundle) -> None:
    manifest = msgspec.structs.replace(bundle.manifest, requires=[Required(digest="sha256:" + "0" * 64, size=1)])
    assert "Alone it is not complete" in readme.render(manifest, {}).decode()
    assert "Alone it is not complete" not in bundle.signed.readme.decode()


def test_a_bundle_without_parts_does_not_speak_of_them(bundle: SmallBundle) -> None:
    blobs = [blob for blob in bundle.manifest.blobs if not blob.parts]
    assert "parts" not in readme.render(msgspec.structs.replace(bundle.manifest, blobs=blobs), {}).decode()


@pytest.mark.peer
@pytest.mark.parametrize("key", [create_private("ed25519"), SoftToken("sk-ssh-ed25519@openssh.com")])
def test_every_line_works_as_it_is_typed_and_every_artifact_keeps_its_digest(
    tmp_path: Path, key: PrivateKey | SoftToken
) -> None:
    require("openssl", "ssh-keygen", "sha256sum", "7z", "skopeo")
    bundle = TypedBundle(tmp_path / "bundle", key)  # type: ignore[arg-type]
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    readme_of(bundle, copy, key)
    registry = tmp_path / "registry"
    registry.mkdir()
    with docker_registry_in(registry) as host:
        for command in lines_of((copy / "README.txt").read_text()):
            shell(command.replace("docker://REGISTRY", f"--dest-tls-verify=false docker://{host}"), copy)
        for artifact in bundle.artifacts:
            for reference in artifact.tags or [artifact.digest]:
                held = manifest_at(host, artifact.repository, reference)
                assert str(Digest.of(held)) == artifact.digest, (artifact.repository, reference)
        for repository, images in bundle.children.items():
            for image in images:
                manifest_at(host, repository, image["digest"])


def readme_of(bundle: TypedBundle, copy: Path, key: PrivateKey | SoftToken) -> None:
    """Give the copy the small files that this kind of key signs, and lay its public half beside them."""
    text = readme.render(bundle.manifest, {key.public.keyid: key.public.algorithm})
    root = sums_of(bundle.manifest, bundle.signed.manifest_bytes, text)
    (copy / "pub.pem").write_bytes(key.public.to_pem())
    for name, data in {
        "README.txt": text, "SHA256SUMS": root, **files_of("SHA256SUMS", key.public.keyid, key.sign(root))
    }.items():  # fmt: skip
        (copy / name).write_bytes(data)


def manifest_at(host: str, repository: str, reference: str) -> bytes:
    url = f"http://{host}/v2/{repository}/manifests/{reference}"
    with urlopen(Request(url, headers={"Accept": ", ".join(MANIFEST_TYPES)}), timeout=10) as answer:
        data: bytes = answer.read()
    return data


@pytest.mark.peer
def test_more_artifacts_than_it_has_room_for_are_copied_by_one_line(tmp_path: Path) -> None:
    require("7z", "skopeo")
    bundle = TypedBundle(tmp_path / "bundle")
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    shell('for volume in volumes/*.7z; do 7z x -y -oOUT "$volume"; done', copy)
    shell(commands(bundle)[3], copy)
    many = crowded(bundle)
    assert len(many) <= limits.README_FILE
    folder, copy_all = (line for line in lines_of(many) if line.startswith(("mkdir", "tr ")))
    registry = tmp_path / "registry"
    registry.mkdir()
    with docker_registry_in(registry) as host:
        shell(folder, copy)
        shell(copy_all.replace("dir:DIR", "--dest-tls-verify=false dir:DIR").replace("REGISTRY", host), copy)
        for name in bundle.tagged:
            repository, _, tag = name.rpartition(":")
            assert Digest.of(manifest_at(host, repository, tag)) == bundle.digest(name)


def crowded(bundle: TypedBundle) -> str:
    """README.txt of a bundle on 900 media with a thousand artifacts of the longest names."""
    (volume, *_) = bundle.manifest.volumes
    volumes = [msgspec.structs.replace(volume, index=n, medium=n) for n in range(1, 900)]
    artifacts = [
        Artifact(
            repository=f"team/{'x' * 240}{n:04d}", digest=f"sha256:{n:064x}", mediaType=DOCKER_MANIFEST, kind="image",
            size=1, tags=["t" * 128],
        )
        for n in range(1000)
    ]  # fmt: skip
    return readme.render(msgspec.structs.replace(bundle.manifest, volumes=volumes, artifacts=artifacts), {}).decode()


def test_dockers_types_never_get_a_line_that_skopeo_does_not_read(tmp_path: Path) -> None:
    bundle = TypedBundle(tmp_path / "bundle")
    for line in commands(bundle):
        assert not re.search(r"oci:OUT:team/(docker|list):", line)
    assert any("dir:DIR docker://REGISTRY/team/docker:stable" in line for line in commands(bundle))
    assert any("oci:OUT:team/mixed:1 docker://REGISTRY/team/mixed:1" in line for line in commands(bundle))
