"""What each client needs so that it trusts this station and pulls from it: its configuration, as a shell script.

A script is run as root on the client's machine. It reads no terminal: the account and the file with its secret come
from the environment. A file that is the station's alone is replaced, the one before kept; a file that others share is
never replaced: what is to be merged into it is written beside it, and the script ends with status 1.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from appliance.access.node_manifest import NODES
from appliance.addresses import is_loopback
from bundles.errors import MalformedError, UsageError
from bundles.oci.reference import check_registry

EVERY: Final = "_default"
"""As a mirrored registry: every registry that has no mirror of its own (containerd, hosts.md)."""

USER, SECRET_FILE = "LOCKGATE_USER", "LOCKGATE_SECRET_FILE"

_REACH: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?\Z")

_HEAD: Final = """\
#!/bin/sh
# What @CLIENT@ needs to trust @HOST@, made by: lockgate @BY@ @CLIENT@
# Read it, then run it as root: sh FILE. It asks nothing. For an account of the station give it, before sh:
#   LOCKGATE_USER=robot-nodes LOCKGATE_SECRET_FILE=/root/robot-nodes.secret
set -eu
umask 077
left=0
say() { printf 'lockgate: %s\\n' "$*" >&2; }
fresh() {
  ( umask 022; mkdir -p "$(dirname "$1")" )
  cat > "$1.lockgate"
  chmod "$2" "$1.lockgate"
}
# own: a file of this registry alone; what was there is kept beside it.
own() {
  if [ -e "$1" ] && ! cmp -s "$1" "$1.lockgate"; then
    cp -p "$1" "$1.before"; say "$1 is replaced; what it was is in $1.before"
  fi
  mv "$1.lockgate" "$1"
}
# shared: a file that others write to, too; it is never replaced.
shared() {
  if [ ! -e "$1" ] || cmp -s "$1" "$1.lockgate"; then mv "$1.lockgate" "$1"
  else say "$1 is there already: merge what $1.lockgate holds into it"; left=1; fi
}
login=0
if [ -n "${LOCKGATE_USER:-}" ]; then
  : "${LOCKGATE_SECRET_FILE:?is not set: name the file with the secret of $LOCKGATE_USER}"
  login=1
  secret=$(head -n 1 "$LOCKGATE_SECRET_FILE")
fi
"""
_TAIL: Final = 'exit "$left"'


@dataclass(frozen=True, slots=True)
class Snippet:
    """`files`: by path, what is put there; `shared` are those among them that others write to, too; `secret` those that
    hold the account's secret. `before`: lines ahead of the files; `commands` behind them; `then` what a person does."""

    files: Mapping[str, str]
    commands: tuple[str, ...] = ()
    shared: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    before: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    manifest: str = ""
    """In the place of a script: objects for kubectl."""

    def text(self, client: str, host: str, by: str = "trust snippet") -> str:
        """The script, or the manifest. `by`: the command that makes it."""
        if self.manifest:
            return self.manifest
        parts = [_HEAD.replace("@BY@", by).replace("@CLIENT@", client).replace("@HOST@", host).rstrip(), *self.before]
        for path, content in self.files.items():
            mark, mode = ("LOCKGATE", "0600") if path in self.secret else ("'LOCKGATE'", "0644")
            verb = "shared" if path in self.shared else "own"
            parts.append(f'fresh "{path}" {mode} <<{mark}\n{content.rstrip()}\nLOCKGATE\n{verb} "{path}"')
        parts += self.commands
        parts += [f"# {line}" if line else "#" for line in self.then]
        return "\n".join([*parts, _TAIL])


def reach_of(host: str | None, names: Sequence[str], port: int) -> str:
    """`HOST:PORT` as clients write it, from `HOST[:PORT]` or, without one, the certificate's first name that is no
    loopback and no wildcard. Raises UsageError for a host that the certificate does not name."""
    if host is None:
        usual = [name for name in names if "*" not in name]
        far = [name for name in usual if not is_loopback(name)]
        return _joined((far or usual or ["localhost"])[0], port)
    match = _REACH.match(host)
    if match is None or int(match["port"] or port) > 65_535:
        raise UsageError("not a host", thing=host[:80], remedy="write HOST or HOST:PORT, an IPv6 address in brackets")
    name = match["host"].strip("[]").lower()
    if not any(_is_for(known.lower(), name) for known in names):
        raise UsageError(
            "the station's certificate is not for that host", thing=f"{name[:80]} (it is for {', '.join(names)[:200]})",
            remedy=f"make one for it: lockgate tls renew --name {name[:80]}, or give a name that it has",
        )  # fmt: skip
    return _joined(name, int(match["port"] or port))


def _is_for(known: str, name: str) -> bool:
    """Whether a name of a certificate stands for a host (RFC 9525, section 6.3: a wildcard is one whole label)."""
    try:
        return ipaddress.ip_address(known) == ipaddress.ip_address(name)
    except ValueError:
        return known == name or (known.startswith("*.") and name.partition(".")[2] == known[2:])


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_mirrors(registries: Sequence[str]) -> tuple[str, ...]:
    """The registries that the station stands in for: `docker.io`, or `_default` for all. Raises UsageError."""
    for name in registries:
        try:
            if name != EVERY:
                check_registry(name)
        except MalformedError:
            raise UsageError(
                "not a registry to mirror", thing=name[:80], remedy=f"write its host, as docker.io, or {EVERY}"
            ) from None
    return tuple(dict.fromkeys(registries))


def _login(command: str, host: str) -> str:
    """Log in without a terminal, where an account was given."""
    given = f'printf \'%s\' "$secret" | {command} --username "$LOCKGATE_USER" --password-stdin {host}'
    return (
        f'if [ "$login" = 1 ]; then {given}\n'
        f"else say 'no account was given: log in with {command} {host}, or allow anonymous_pull'; fi"
    )


def _containerd(host: str, ca: str, mirrors: Sequence[str]) -> Snippet:
    """containerd's hosts.toml (containerd, docs/hosts.md): read at each pull, so nothing is restarted."""
    root = "/etc/containerd/certs.d"
    authority = f"{root}/{host}/ca.crt"
    hosts = (
        f'server = "https://{host}"\nca = "{authority}"\n\n[host."https://{host}"]\n'
        f'  capabilities = ["pull", "resolve"]\n  ca = "{authority}"\n$header'
    )
    files = {authority: ca, f"{root}/{host}/hosts.toml": hosts}
    files |= {f"{root}/{name}/hosts.toml": hosts for name in mirrors}
    places = frozenset(path for path in files if path.endswith("hosts.toml"))
    header = (
        "header=",
        'if [ "$login" = 1 ]; then',
        "  basic=$(printf '%s:%s' \"$LOCKGATE_USER\" \"$secret\" | base64 | tr -d '\\n')",
        f'  header=$(printf \'  [host."https://%s".header]\\n    authorization = ["Basic %s"]\' \'{host}\' "$basic")',
        "fi",
    )
    check = (
        "read_from='config_path *= *.*/etc/containerd/certs\\.d'",
        'if ! grep -qsr "$read_from" /etc/containerd/config.toml /etc/containerd/conf.d; then',
        "  say 'add to /etc/containerd/config.toml, then systemctl restart containerd:'",
        "  say '  containerd 2: [plugins.\"io.containerd.cri.v1.images\".registry]'",
        "  say '  containerd 1: [plugins.\"io.containerd.grpc.v1.cri\".registry]'",
        "  say '    config_path = \"/etc/containerd/certs.d\"'",
        "  left=1",
        "fi",
    )
    then = (
        *_mirror_hint("containerd", mirrors),
        "try it: crictl pull " + (f"{mirrors[0]}/REPO:TAG" if mirrors and mirrors[0] != EVERY else f"{host}/REPO:TAG"),
        f"or: ctr -n k8s.io images pull --hosts-dir {root} {host}/REPO:TAG",
    )
    shared = frozenset(f"{root}/{name}/hosts.toml" for name in mirrors)
    return Snippet(files, check, shared, places, header, then)


def _mirror_hint(client: str, mirrors: Sequence[str]) -> tuple[str, ...]:
    if mirrors:
        return ()
    return (
        "so that manifests stay as they are, let the station stand in for registries:",
        f"  lockgate trust snippet {client} --mirror docker.io --mirror quay.io     or, for all: --mirror {EVERY}",
    )


def _k3s(host: str, ca: str, mirrors: Sequence[str]) -> Snippet:
    """k3s' registries.yaml (docs.k3s.io, Private Registry Configuration): read when k3s starts; many share it."""
    authority = "/etc/rancher/k3s/lockgate-ca.crt"
    names = [host, *("*" if name == EVERY else name for name in mirrors)]
    entries = "".join(f'  "{name}":\n    endpoint:\n      - "https://{host}"\n' for name in names)
    registries = (
        f'# {host}, by: lockgate trust snippet k3s\nmirrors:\n{entries}configs:\n  "{host}":\n'
        f"    tls:\n      ca_file: {authority}\n$auth"
    )
    path = "/etc/rancher/k3s/registries.yaml"
    auth = (
        "auth=",
        'if [ "$login" = 1 ]; then',
        '  auth=$(printf \'    auth:\\n      username: "%s"\\n      password: "%s"\' "$LOCKGATE_USER" "$secret")',
        "fi",
    )
    then = (
        *_mirror_hint("k3s", mirrors),
        "k3s reads registries.yaml when it starts; pods go on running. When it suits:",
        "  systemctl restart k3s          on a server; on an agent: systemctl restart k3s-agent",
        "k3s asks the mirrored registry itself when the station does not answer, unless every node starts with",
        "  --disable-default-registry-endpoint",
    )
    restart = (
        'if [ "$left" = 0 ]; then',
        "  say 'restart k3s (or k3s-agent) when it suits: it reads registries.yaml at its start'",
        "else",
        "  say 'put its entries below the mirrors: and configs: that the file has: a second one of them would hide'",
        "  say 'the first. Where both name one registry, keep one entry: the endpoint of the station first, and no'",
        "  say 'rewrite: of names in it, which would be asked of the station, too'",
        "  say 'Then restart k3s (or k3s-agent) when it suits'",
        "fi",
    )
    return Snippet({authority: ca, path: registries}, restart, frozenset({path}), frozenset({path}), auth, then)


def _registries_conf(host: str, mirrors: Sequence[str], client: str) -> str:
    """A drop-in that sends pulls from registries to the station alone (containers-registries.conf(5))."""
    if EVERY in mirrors:
        raise UsageError(
            f"{client} has no mirror for every registry", thing=EVERY, remedy="name each: --mirror docker.io"
        )
    entries = "".join(f'\n[[registry]]\nprefix = "{name}"\nlocation = "{host}"\n' for name in mirrors)
    short = '\nunqualified-search-registries = ["docker.io"]\n' if "docker.io" in mirrors else ""
    return f"# {host} stands in for these registries, and nobody else is asked.{short}{entries}"


def _crio(host: str, ca: str, mirrors: Sequence[str]) -> Snippet:
    """CRI-O: containers/image's certificates and mirrors, and one file with the log-in (crio.conf(5))."""
    login = "/etc/crio/lockgate-auth.json"
    files = {
        f"/etc/containers/certs.d/{host}/ca.crt": ca,
        login: "$auths",
        "/etc/crio/crio.conf.d/50-lockgate.conf": f'[crio.image]\nglobal_auth_file = "{login}"',
    }
    if mirrors:
        files["/etc/containers/registries.conf.d/50-lockgate.conf"] = _registries_conf(host, mirrors, "CRI-O")
    basic = (
        "auths='{\"auths\": {}}'",
        'if [ "$login" = 1 ]; then',
        "  basic=$(printf '%s:%s' \"$LOCKGATE_USER\" \"$secret\" | base64 | tr -d '\\n')",
        f'  auths=$(printf \'{{"auths": {{"%s": {{"auth": "%s"}}}}}}\' \'{host}\' "$basic")',
        "else say 'no account was given: pods need imagePullSecrets, or the station anonymous_pull'; fi",
    )
    reload = ("say 'CRI-O takes it up with: systemctl reload crio'",)
    then = (*_mirror_hint("crio", mirrors), f"try it: crictl pull {mirrors[0] if mirrors else host}/REPO:TAG")
    return Snippet(files, reload, frozenset(), frozenset({login}), basic, then)


def _podman(host: str, ca: str, mirrors: Sequence[str]) -> Snippet:
    files = {f"/etc/containers/certs.d/{host}/ca.crt": ca}
    if mirrors:
        files["/etc/containers/registries.conf.d/50-lockgate.conf"] = _registries_conf(host, mirrors, "podman")
    return Snippet(files, (_login("podman login", host),), then=(f"then: podman pull {host}/REPO:TAG",))


def _docker(host: str, ca: str, mirrors: Sequence[str]) -> Snippet:
    files, shared = {f"/etc/docker/certs.d/{host}/ca.crt": ca}, frozenset[str]()
    if others := [name for name in mirrors if name != "docker.io"]:
        raise UsageError("docker mirrors docker.io alone", thing=others[0], remedy="give --mirror docker.io, or none")
    if mirrors:
        files["/etc/docker/daemon.json"] = f'{{"registry-mirrors": ["https://{host}"]}}'
        shared = frozenset({"/etc/docker/daemon.json"})
    return Snippet(files, (_login("docker login", host),), shared, then=(f"then: docker pull {host}/REPO:TAG",))


def _helm(host: str, ca: str, mirrors: Sequence[str]) -> Snippet:
    _no_mirrors("helm", mirrors)
    path = "/etc/lockgate/ca.crt"
    login = (_login(f"helm registry login --ca-file {path}", host),)
    return Snippet({path: ca}, login, then=(f"then: helm pull --ca-file {path} oci://{host}/REPO --version VERSION",))


def _skopeo(host: str, ca: str, mirrors: Sequence[str]) -> Snippet:
    _no_mirrors("skopeo", mirrors)
    folder = f"/etc/containers/certs.d/{host}"
    login = (_login(f"skopeo login --cert-dir {folder}", host),)
    then = (f"then: skopeo copy --src-cert-dir {folder} docker://{host}/REPO:TAG oci:DIR:TAG",)
    return Snippet({f"{folder}/ca.crt": ca}, login, then=then)


def _no_mirrors(client: str, mirrors: Sequence[str]) -> None:
    if mirrors:
        raise UsageError(f"{client} has no mirrors", thing=mirrors[0], remedy="leave --mirror out")


def _kubernetes(host: str, ca: str, mirrors: Sequence[str]) -> Snippet:
    authority = f"/etc/containerd/certs.d/{host}/ca.crt"
    names = " ".join(f'"{name}"' for name in (host, *mirrors))
    indented = "\n".join(f"    {line}" for line in ca.strip().splitlines())
    return Snippet({}, manifest=NODES.format(host=host, authority=authority, ca=indented, names=names).rstrip())


Made = Callable[[str, str, Sequence[str]], Snippet]

CLIENTS: Final[Mapping[str, Made]] = MappingProxyType(
    {
        "containerd": _containerd,
        "crio": _crio,
        "k3s": _k3s,
        "kubernetes": _kubernetes,
        "podman": _podman,
        "docker": _docker,
        "helm": _helm,
        "skopeo": _skopeo,
    }
)
"""By client: what it needs for `host` (HOST:PORT), the CA's PEM and the registries that the station stands in for."""
