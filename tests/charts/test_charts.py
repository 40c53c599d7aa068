"""What images a chart names: by helm's documents, or by its values and annotations; and charts that nobody trusts."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from appliance.charts import archive
from appliance.charts.archive import FILE, NESTED, UNPACKED, read_archive, read_chart
from appliance.charts.images import Named, rendered_images, whole_name, written_images
from appliance.charts.rendering import rendered
from appliance.charts.yaml_tree import below, documents
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from tests.peer_tools import find_go_peer

CHART = b"apiVersion: v2\nname: app\nversion: 1.2.3\nappVersion: '4.5'\n"


def packed(files: dict[str, bytes], folder: str = "app") -> bytes:
    """A chart's archive as `helm package` makes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


def images_of(values: bytes, chart: bytes = CHART) -> dict[str, tuple[str, bool]]:
    found = written_images(read_archive(packed({"Chart.yaml": chart, "values.yaml": values}), "x"))
    return {one.image: (one.at, one.is_off) for one in found}


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("team/app:1", "docker.io/team/app:1"),
        ("quay.io/team/app", "quay.io/team/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        (f"quay.io/team/app:1@sha256:{'a' * 64}", f"quay.io/team/app:1@sha256:{'a' * 64}"),
        ("{{ .Values.image }}", None),
        ("Team/App:1", None),
        ("", None),
        ("a" * 500, None),
        ("app:\x1b[31m", None),
    ],
)
def test_a_name_is_completed_as_clients_do_or_is_none(text: str, whole: str | None) -> None:
    assert whole_name(text) == whole


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (b"image: nginx:1", {"docker.io/library/nginx:1": ("values.yaml: image", False)}),
        (b"image: {repository: team/app}", {"docker.io/team/app:4.5": ("values.yaml: image", False)}),
        (
            b"a: {image: {registry: quay.io, repository: team/app, tag: 1.10}}",
            {"quay.io/team/app:1.10": ("values.yaml: a.image", False)},
        ),
        (
            b"image: {repository: quay.io/team/app, tag: v1, digest: 'sha256:" + b"a" * 64 + b"'}",
            {f"quay.io/team/app:v1@sha256:{'a' * 64}": ("values.yaml: image", False)},
        ),
        (
            b"global: {imageRegistry: mirror.example}\nimage: {registry: quay.io, repository: team/app, tag: 1}",
            {"mirror.example/team/app:1": ("values.yaml: image", False)},
        ),
        (
            b"metrics: {enabled: false, image: {repository: team/exporter, tag: 2}}",
            {"docker.io/team/exporter:2": ("values.yaml: metrics.image", True)},
        ),
        (
            b"jobs: [{image: busybox, tag: 1.36}]",
            {"docker.io/library/busybox:1.36": ("values.yaml: jobs.0.image", False)},
        ),
        (b"initImage: busybox:1", {"docker.io/library/busybox:1": ("values.yaml: initImage", False)}),
        (b"source: {repository: 'https://charts.example', name: x}\nimage: {}\nother: image", {}),
        (b"", {}),
        (b"- a\n- b", {}),
    ],
)
def test_values_name_images_as_charts_write_them(values: bytes, expected: dict[str, tuple[str, bool]]) -> None:
    assert images_of(values) == expected


def test_annotations_and_inner_charts_are_read(tmp_path: Path) -> None:
    chart = CHART + b"annotations:\n  artifacthub.io/images: |\n    - name: app\n      image: quay.io/team/app:1\n"
    inner = packed({"Chart.yaml": CHART, "values.yaml": b"image: redis:7"}, "redis")
    files = {
        "Chart.yaml": chart, "charts/redis-1.tgz": inner, "charts/db/Chart.yaml": CHART,
        "charts/db/values.yaml": b"image: postgres:15", "templates/x.yaml": b"image: not/read:1",
    }  # fmt: skip
    expected = [
        Named("docker.io/library/postgres:15", "charts/db/values.yaml: image"),
        Named("docker.io/library/redis:7", "charts/redis-1/values.yaml: image"),
        Named("quay.io/team/app:1", "Chart.yaml: artifacthub.io/images"),
    ]
    assert written_images(read_archive(packed(files), "x")) == expected
    for name, body in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    assert written_images(read_chart(tmp_path)) == expected


def test_containers_resources_of_operators_and_arguments_are_read() -> None:
    found = rendered_images(
        b"""kind: Deployment
metadata: {name: app}
spec:
  template:
    spec:
      initContainers: [{image: busybox}]
      containers:
      - image: quay.io/team/app:1
        args: [--reloader-image=quay.io/team/reloader:2, --verbose, --image=]
---
kind: Prometheus
metadata: {name: p}
spec: {image: quay.io/prometheus/prometheus:v3}
---
---
kind: ConfigMap
data: {image: "{not an image}"}
"""
    )
    assert [one.image for one in found] == [
        "docker.io/library/busybox:latest", "quay.io/prometheus/prometheus:v3", "quay.io/team/app:1",
        "quay.io/team/reloader:2",
    ]  # fmt: skip
    assert found[0].at == "Deployment/app: spec.template.spec.initContainers.0"


BOMB = b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (98 + n, 98 + n, 97 + n, 97 + n) for n in range(24))


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000, b"a: {" * 50_000, b"- " * 100_000, b"a: [b", b"\xff\xfe\xfa", b"a: *nobody\nb: {*x : 1",
        b"x: 'y", b"\x00", b"- 1\n" * 900_000, b"%TAG ! !\n--- !!python/object/apply:os.system ['id']\n- [",
    ],
    ids=["lists", "mappings", "dashes", "cut", "bytes", "alias", "quote", "nul", "long", "tag"],
)  # fmt: skip
def test_hostile_yaml_is_malformed_in_a_bounded_time(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        list(documents(raw, "x"))


def test_an_anchor_stays_one_object_and_a_tag_makes_none() -> None:
    (tree,) = documents(BOMB, "x")
    assert len(list(below(tree))) == 1  # 2 to the 24 lists otherwise
    assert list(documents(b"a: !!python/object/apply:os.system ['id']", "x")) == [{"a": ["id"]}]
    (cycle,) = documents(b"&a {image: nginx, inner: *a}", "x")
    assert [way for way, _ in below(cycle)] == [()]


def test_an_archive_that_is_none_or_too_large_or_too_deep_is_refused() -> None:
    deep = packed({"Chart.yaml": CHART})
    for _ in range(NESTED + 1):
        deep = packed({"Chart.yaml": CHART, "charts/x.tgz": deep})
    long_way = "charts/x/" * (NESTED + 1) + "values.yaml"
    for raw in (b"", b"x", gzip.compress(b"x" * 600), packed({"a": b""})[:-40], deep, packed({long_way: b"a: 1"})):
        with pytest.raises(MalformedError):
            read_archive(raw, "x")
    for raw in (gzip.compress(bytes(UNPACKED + 1)), packed({"values.yaml": bytes(FILE + 1)})):
        with pytest.raises(RefusedError):
            read_archive(raw, "x")


def test_archives_in_archives_unpack_to_no_more_than_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED", 1_000_000)
    inner = packed({"Chart.yaml": CHART, "templates/x": bytes(100_000)})
    assert len(read_archive(packed({f"charts/{number}.tgz": inner for number in range(5)}), "x").inner) == 5
    with pytest.raises(RefusedError):
        read_archive(packed({f"charts/{number}.tgz": inner for number in range(12)}), "x")


def test_a_sparse_member_that_claims_a_terabyte_takes_no_memory() -> None:
    member = tarfile.TarInfo("app/values.yaml")
    member.pax_headers = {
        "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(1 << 40), "GNU.sparse.map": "0,1",
    }  # fmt: skip
    member.size = 1
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(b"a"))
    with pytest.raises(RefusedError):
        read_archive(out.getvalue(), "x")


def test_links_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_bytes(b"image: nginx:1")
    chart = tmp_path / "chart"
    (chart / "charts").mkdir(parents=True)
    (chart / "Chart.yaml").write_bytes(CHART)
    (chart / "values.yaml").symlink_to("../secret.yaml")
    (chart / "charts/loop").symlink_to("..")
    assert written_images(read_chart(chart)) == []
    (chart / "Chart.yaml").unlink()
    for path in (chart, tmp_path / "nosuch", tmp_path / "secret.yaml"):
        with pytest.raises((UsageError, MalformedError)):
            read_chart(path)


@pytest.mark.long
def test_helm_makes_the_documents(tmp_path: Path) -> None:
    helm = find_go_peer("helm")
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_bytes(CHART)
    (tmp_path / "values.yaml").write_bytes(b"image: {repository: team/app}\nextra: false\n")
    (tmp_path / "templates/pod.yaml").write_bytes(
        b"""kind: Pod
metadata: {name: p}
spec:
  containers:
  - image: "{{ .Values.image.repository }}:{{ .Chart.AppVersion }}"
{{- if .Values.extra }}
  - image: quay.io/team/extra:1
{{- end }}
"""
    )
    assert [one.image for one in rendered_images(rendered(helm, tmp_path))] == ["docker.io/team/app:4.5"]
    (tmp_path / "more.yaml").write_bytes(b"extra: true\n")
    both = rendered_images(rendered(helm, tmp_path, [tmp_path / "more.yaml"]))
    assert [one.image for one in both] == ["docker.io/team/app:4.5", "quay.io/team/extra:1"]
    (tmp_path / "templates/pod.yaml").write_bytes(b'{{ fail "no" }}')
    with pytest.raises(LockgateError):
        rendered(helm, tmp_path)
