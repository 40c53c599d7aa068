"""What each client needs so that it trusts this station: its configuration, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Snippet:
    """Files (path -> content) to put on the client's machine, and the commands that use them."""

    files: Mapping[str, str]
    commands: tuple[str, ...]

    def text(self) -> str:
        """A shell script: the files as here-documents, then the commands."""
        parts = []
        for path, content in self.files.items():
            folder = path.rpartition("/")[0]
            parts.append(f"mkdir -p {folder}\ncat > {path} <<'LOCKGATE'\n{content.rstrip()}\nLOCKGATE")
        return "\n".join([*parts, *self.commands])


def _containerd(host: str, ca: str) -> Snippet:
    folder = f"/etc/containerd/certs.d/{host}"
    hosts = (
        f'server = "https://{host}"\n\n[host."https://{host}"]\n'
        f'  capabilities = ["pull", "resolve"]\n  ca = "{folder}/ca.crt"\n'
    )
    return Snippet(
        {f"{folder}/ca.crt": ca, f"{folder}/hosts.toml": hosts},
        (
            '# in /etc/containerd/config.toml: config_path = "/etc/containerd/certs.d" below the registry\'s plugin',
            f"ctr images pull --hosts-dir /etc/containerd/certs.d --user NAME {host}/REPO:TAG",
        ),
    )


def _podman(host: str, ca: str) -> Snippet:
    commands = (f"podman login --username NAME {host}", f"podman pull {host}/REPO:TAG")
    return Snippet({f"/etc/containers/certs.d/{host}/ca.crt": ca}, commands)


def _docker(host: str, ca: str) -> Snippet:
    commands = (f"docker login --username NAME {host}", f"docker pull {host}/REPO:TAG")
    return Snippet({f"/etc/docker/certs.d/{host}/ca.crt": ca}, commands)


def _k3s(host: str, ca: str) -> Snippet:
    path = "/etc/rancher/k3s/lockgate-ca.crt"
    registries = (
        f'mirrors:\n  "{host}":\n    endpoint:\n      - "https://{host}"\n'
        f'configs:\n  "{host}":\n    auth:\n      username: NAME\n      password: SECRET\n'
        f"    tls:\n      ca_file: {path}\n"
    )
    return Snippet(
        {path: ca, "/etc/rancher/k3s/registries.yaml": registries},
        ("chmod 600 /etc/rancher/k3s/registries.yaml", "systemctl restart k3s"),
    )


def _helm(host: str, ca: str) -> Snippet:
    path = "/etc/lockgate/ca.crt"
    commands = (
        f"helm registry login --ca-file {path} --username NAME {host}",
        f"helm pull --ca-file {path} oci://{host}/REPO --version VERSION",
    )
    return Snippet({path: ca}, commands)


def _skopeo(host: str, ca: str) -> Snippet:
    folder = f"/etc/containers/certs.d/{host}"
    commands = (
        f"skopeo login --cert-dir {folder} --username NAME {host}",
        f"skopeo copy --src-cert-dir {folder} docker://{host}/REPO:TAG oci:DIR:TAG",
    )
    return Snippet({f"{folder}/ca.crt": ca}, commands)


CLIENTS: Final[Mapping[str, Callable[[str, str], Snippet]]] = MappingProxyType(
    {
        "containerd": _containerd,
        "podman": _podman,
        "docker": _docker,
        "k3s": _k3s,
        "helm": _helm,
        "skopeo": _skopeo,
    }
)
"""By client: what it needs for `host` (HOST:PORT) and the CA's PEM."""
