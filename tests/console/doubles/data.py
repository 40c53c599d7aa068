"""What the demo's two stations hold: lifelike names, sizes and dates, the same at every start.

Digests are the sha256 of a name, so that every one is a real digest and none has to be kept.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from appliance.api.bundles import Medium
from appliance.api.content import Artifact, Component, Layer, Platform, Referrer, Repository, SbomRef, Tag
from appliance.api.trust import Revoked, TrustedKey, TrustRule

MB: Final = 1_000_000
GB: Final = 1000 * MB
INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
CYCLONEDX: Final = "application/vnd.cyclonedx+json"
SIGSTORE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
HYBRID: Final = "ecdsa-p384+ml-dsa-87"
PASSPHRASE: Final = "lockgate-demo"
"""What opens the demo's private keys."""

FINGERPRINTS: Final = {
    "engineer": "30f2c341ae8cd9a4c64ec5fd19bc0abbe250ca90bfe0afaa7f2cdd5daeb998df",
    "officer": "a434ee58eb00eea7b3dfb7c26baaed600d68e2183515db212d96f4adc39fa360",
    "deputy": "9f743e24b261458d906b1b4c6c7cef06808ab02b700fd91d9b7d5008117a8c98",
    "bravo-receipt": "7a26359ed81dae9c3c53480e0358a071709923cc3137d82cd84de2a522eed751",
    "retired": "5da063c3c6f5a7f47a18e44859360aa853803b1b5f33a6c4ae3bc104ad8cc59b",
}
"""The demo's people and their keys; a test holds them against the keys that `tui.station.keyring` derives."""

KEYIDS: Final = {name: fingerprint[:16] for name, fingerprint in FINGERPRINTS.items()}

_REPOSITORIES: Final[tuple[tuple[str, str, tuple[str, ...], int], ...]] = (
    # name, kind, versions, bytes of one
    ("base/debian", "index", ("12.5", "12.6", "12.7", "12.8", "bookworm"), 54 * MB),
    ("base/python", "index", ("3.11.9", "3.11.10", "3.12.6", "3.12.7", "3.12"), 148 * MB),
    ("charts/monitoring", "chart", ("1.8.0", "1.8.1", "1.9.0"), 84_312),
    ("charts/payments", "chart", ("0.14.2", "0.15.0", "0.15.1"), 41_207),
    ("files/firmware/plc-gateway", "file", ("2.11.0", "2.12.0"), 18 * MB),
    ("models/defect-classifier", "file", ("2025-11", "2026-02"), 3 * GB + 400 * MB),
    ("platform/ingress-nginx", "index", ("1.11.2", "1.11.3", "1.12.0"), 103 * MB),
    ("platform/postgres", "index", ("15.8", "16.4", "16.6", "17.2"), 162 * MB),
    ("platform/prometheus", "index", ("2.53.2", "2.55.1", "3.0.1"), 118 * MB),
    ("team/billing-worker", "image", ("4.2.0", "4.2.1", "4.3.0"), 211 * MB),
    ("team/payments-api", "image", (), 187 * MB),
    ("team/web-portal", "image", ("7.0.3", "7.1.0", "7.1.1", "latest"), 96 * MB),
    ("tools/skopeo", "index", ("1.15.1", "1.16.1"), 61 * MB),
)
_MANY: Final = "team/payments-api"


def digest(name: str) -> str:
    """A real digest for a made-up thing."""
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def day(number: int, time: str = "09:00:00") -> str:
    """A date of the demo's spring: day 0 is 2026-03-01."""
    month, within = divmod(number, 28)
    return f"2026-{3 + month:02d}-{1 + within:02d}T{time}Z"


def tags(repository: str) -> tuple[Tag, ...]:
    """The tags of a repository, in bytewise order."""
    row = next((row for row in _REPOSITORIES if row[0] == repository), None)
    if row is None:
        return ()
    name, kind, versions, size = row
    if name == _MANY:
        versions = tuple(f"2.{minor}.{patch}" for minor in range(30) for patch in range(14))
    media = INDEX if kind == "index" else MANIFEST
    return tuple(
        Tag(
            tag=version,
            digest=digest(f"{name}:{version}"),
            media_type=media,
            kind=kind,
            size=1_500,
            total_size=size + int(digest(version)[-4:], 16) * size // 400_000,
            updated=day(int(digest(version)[-2:], 16) % 60, "14:20:31"),
        )
        for version in sorted(versions)
    )


def repositories() -> tuple[Repository, ...]:
    return tuple(
        Repository(
            name=name,
            tags=len(tags(name)),
            manifests=len(tags(name)) * (3 if kind == "index" else 1),
            bytes=sum(tag.total_size for tag in tags(name)),
        )
        for name, kind, _, _ in _REPOSITORIES
    )


def artifact(reference: str) -> Artifact | None:
    """The artifact behind `repository:tag` or `repository@digest`; None where there is none."""
    repository, at, wanted = reference.partition("@")
    if not at:
        repository, _, tag_name = reference.rpartition(":")
        tag = next((tag for tag in tags(repository) if tag.tag == tag_name), None)
        return _of_tag(repository, tag) if tag else None
    for tag in tags(repository):
        if tag.digest == wanted:
            return _of_tag(repository, tag)
        for arch in ("amd64", "arm64"):
            if tag.kind == "index" and wanted == digest(f"{repository}:{tag.tag} linux/{arch}"):
                return _image(repository, tag, f"linux/{arch}", wanted)
    return None


def _of_tag(repository: str, tag: Tag) -> Artifact:
    name = f"{repository}:{tag.tag}"
    if tag.kind == "image":
        return _image(repository, tag, "linux/amd64", tag.digest)
    if tag.kind != "index":
        layer = Layer(media_type="application/octet-stream", digest=digest(f"{name} content"), size=tag.total_size)
        return _made(repository, tag, tag.digest, kind=tag.kind, layers=(layer,))
    platforms = tuple(
        Platform(platform=f"linux/{arch}", digest=digest(f"{name} linux/{arch}"), size=1_412)
        for arch in ("amd64", "arm64")
    )
    return _made(repository, tag, tag.digest, kind="index", platforms=platforms, signed=True)


def _image(repository: str, tag: Tag, platform: str, at: str) -> Artifact:
    name = f"{repository}:{tag.tag} {platform}"
    shares = (0.52, 0.27, 0.14, 0.05, 0.02)
    layers = tuple(
        Layer(media_type=LAYER, digest=digest(f"{name} layer {number}"), size=int(tag.total_size * share))
        for number, share in enumerate(shares)
    )
    config = Layer(media_type=CONFIG, digest=digest(f"{name} config"), size=7_812)
    return _made(repository, tag, at, kind="image", layers=layers, config=config, signed=True, sbom=True)


def _made(
    repository: str,
    tag: Tag,
    at: str,
    *,
    kind: str,
    layers: tuple[Layer, ...] = (),
    platforms: tuple[Platform, ...] = (),
    config: Layer | None = None,
    signed: bool = False,
    sbom: bool = False,
) -> Artifact:
    referrers = []
    if signed:
        notes = {"org.opencontainers.image.created": tag.updated}
        referrers.append(
            Referrer(digest=digest(at + "sig"), artifact_type=SIGSTORE, kind="signature", size=1_934, annotations=notes)
        )
    if sbom:
        referrers.append(Referrer(digest=digest(at + "sbom"), artifact_type=CYCLONEDX, kind="sbom", size=612_480))
    document: dict[str, object] = {"schemaVersion": 2, "mediaType": INDEX if kind == "index" else MANIFEST}
    if config:
        document["config"] = {"mediaType": config.media_type, "digest": config.digest, "size": config.size}
    if layers:
        document["layers"] = [{"mediaType": one.media_type, "digest": one.digest, "size": one.size} for one in layers]
    if platforms:
        document["manifests"] = [
            {"mediaType": MANIFEST, "digest": one.digest, "size": one.size, "platform": one.platform}
            for one in platforms
        ]
    return Artifact(
        reference=f"{repository}:{tag.tag}" if at == tag.digest else f"{repository}@{at}",
        digest=at,
        media_type=str(document["mediaType"]),
        kind=kind,
        size=1_412,
        total_size=tag.total_size,
        raw=json.dumps(document, indent=2),
        config={"architecture": "amd64", "os": "linux", "created": tag.updated} if config else None,
        annotations={
            "org.opencontainers.image.source": f"https://git.example/{repository}",
            "org.opencontainers.image.version": tag.tag,
        },
        platforms=platforms,
        layers=layers,
        referrers=tuple(referrers),
        sboms=(SbomRef(digest=digest(at + "sbom"), subject=at),) if sbom else (),
        tags=(tag.tag,),
    )


_PACKAGES: Final = (
    "adduser apt base-files bash bsdutils coreutils dash debconf diffutils dpkg e2fsprogs findutils gcc-12-base "
    "gpgv grep gzip hostname libacl1 libattr1 libaudit1 libblkid1 libbz2 libc6 libcap2 libcom-err2 libcrypt1 libdb5.3 "
    "libffi8 libgcc-s1 libgcrypt20 libgmp10 libgnutls30 libgpg-error0 libhogweed6 libidn2 liblz4 liblzma5 libmount1 "
    "libnettle8 libp11-kit0 libpam0g libpcre2 libseccomp2 libselinux1 libssl3 libstdc++6 libsystemd0 libtasn1 "
    "libtinfo6 libudev1 libunistring2 libuuid1 libxxhash0 libzstd1 login mawk mount ncurses-base passwd perl-base sed "
    "sysvinit-utils tar tzdata util-linux zlib1g"
)
_WHEELS: Final = "aiohttp attrs certifi cffi click cryptography idna jinja2 msgspec pydantic pyyaml requests"


def components(subject: str) -> tuple[Component, ...]:
    """The components of an image's SBOM, in bytewise order of their names."""
    seed = int(digest(subject)[-2:], 16)
    debian = [
        Component(
            name=name,
            version=f"{1 + (seed + n) % 7}.{n % 10}-{1 + n % 5}",
            type="library",
            purl=f"pkg:deb/debian/{name}@{1 + (seed + n) % 7}.{n % 10}-{1 + n % 5}?arch=amd64&distro=debian-12",
            licenses=(("GPL-2.0-or-later",) if n % 3 else ("MIT", "BSD-3-Clause")),
        )
        for n, name in enumerate(_PACKAGES.split())
    ]
    wheels = [
        Component(
            name=name,
            version=f"{2 + n % 4}.{(seed + n) % 12}.{n % 6}",
            type="library",
            purl=f"pkg:pypi/{name}@{2 + n % 4}.{(seed + n) % 12}.{n % 6}",
            licenses=("Apache-2.0",) if n % 2 else ("BSD-3-Clause",),
        )
        for n, name in enumerate(_WHEELS.split())
    ]
    return tuple(sorted(debian + wheels, key=lambda component: component.name))


def media() -> list[Medium]:
    """What is plugged in when the demo starts."""
    return [
        Medium(
            path="/media/usb-blue",
            label="COURIER-07",
            filesystem="exfat",
            size=64 * GB,
            free=58 * GB,
            bundles=("alpha.bravo-000008",),
        ),
        Medium(
            path="/media/usb-red",
            label="UNMARKED",
            filesystem="vfat",
            size=32 * GB,
            free=30 * GB,
            bundles=("alpha.bravo-000008",),
        ),
        Medium(path="/media/disc", label="BRAVO_A", filesystem="udf", size=4_700_372_992, free=0, read_only=True),
    ]


def trust() -> tuple[TrustedKey, ...]:
    """The pinned keys of the inside."""
    return (
        _trusted("engineer", "Release Engineering, alpha", "bundle", sites=("alpha",)),
        _built("foxtrot build", "Foxtrot Systems, build service"),
        _built("foxtrot qa", "Foxtrot Systems, quality"),
        _trusted("officer", "M. Okafor, security officer", "release"),
        _trusted("deputy", "T. Lindqvist, deputy officer", "release"),
        _trusted("bravo-receipt", "bravo, this station", "receipt", "audit"),
        _trusted(
            "retired",
            "Release Engineering, alpha (2025)",
            "bundle",
            sites=("alpha",),
            revoked=Revoked(at=day(10), why="the token was lost"),
        ),
    )


def rules() -> tuple[TrustRule, ...]:
    """What the demo's trust folders demand beyond one signature."""
    return (
        TrustRule(purpose="bundle", site="alpha", silence_days=14),
        TrustRule(purpose="bundle", site="echo", silence_days=14),
        TrustRule(purpose="bundle", site="foxtrot", signers=2, algorithms=(HYBRID,), silence_days=30),
        TrustRule(purpose="release", signers=2),
    )


def _built(name: str, owner: str) -> TrustedKey:
    """A key of foxtrot's, whose site takes two owners with hybrid keys."""
    fingerprint = digest(name).removeprefix("sha256:")
    return TrustedKey(
        keyid=fingerprint[:16],
        purposes=("bundle",),
        owner=owner,
        sites=("foxtrot",),
        algorithm=HYBRID,
        not_before="2026-01-01T00:00:00Z",
        not_after="2028-12-31T23:59:59Z",
        fingerprint=fingerprint,
    )


def _trusted(
    name: str, owner: str, *purposes: str, sites: tuple[str, ...] = (), revoked: Revoked | None = None
) -> TrustedKey:
    return TrustedKey(
        keyid=KEYIDS[name],
        purposes=purposes,
        owner=owner,
        sites=sites,
        algorithm="ecdsa-p256",
        not_before="2025-01-01T00:00:00Z",
        not_after="2027-12-31T23:59:59Z",
        revoked=revoked,
        fingerprint=FINGERPRINTS[name],
    )
