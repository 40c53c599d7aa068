"""Layers are streamed through: what gives power or leads out is found, and no layer can hold the station up."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from backports import zstd

from appliance import limits
from appliance.intake.inspectors import layers
from appliance.intake.inspectors.notebook import Notebook
from bundles.documents import Section
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest


def tar(*members: tuple[str, dict[str, Any]], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, fields in members:
            info = tarfile.TarInfo(name)
            data = fields.pop("data", b"")
            for field, value in fields.items():
                setattr(info, field, value)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Blobs:
    held: dict[str, bytes]

    def open_blob(self, digest: Digest) -> BinaryIO:
        return io.BytesIO(self.held[str(digest)])


def inspected(*blobs: bytes, media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip") -> Section:
    """The section about one image of these layers."""
    held = {str(Digest.of(blob)): blob for blob in blobs}
    described = [Descriptor(media_type=media_type, digest=Digest.of(blob), size=len(blob)) for blob in blobs]
    checked = SimpleNamespace(
        artifact=SimpleNamespace(kind="image"), name="team/app@sha256:x", manifest=SimpleNamespace(layers=described)
    )
    return layers.inspect(SimpleNamespace(checked=[checked], blobs=Blobs(held), notebook=Notebook()))  # type: ignore[arg-type]


PACKINGS = {
    "gzip": gzip.compress,
    "two gzip members": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    "zstd": zstd.compress,
    "two zstd frames": lambda data: zstd.compress(data[:700]) + zstd.compress(data[700:]),
}
FOUND = [
    ("setuid", ("usr/bin/su", {"mode": 0o4755, "data": b"x" * 700})),
    ("setuid", ("usr/bin/wall", {"mode": 0o2755})),
    ("devices", ("dev/sda", {"type": tarfile.BLKTYPE})),
    ("devices", ("dev/mem", {"type": tarfile.CHRTYPE})),
    ("absolute", ("/etc/passwd", {})),
    ("absolute", ("etc/localtime", {"type": tarfile.SYMTYPE, "linkname": "/usr/share/zoneinfo/UTC"})),
    ("escaping", ("../etc/cron.d/x", {})),
    ("escaping", ("a/b/l", {"type": tarfile.SYMTYPE, "linkname": "../../../etc"})),
    ("escaping", ("h", {"type": tarfile.LNKTYPE, "linkname": "../../shadow"})),
    ("escaping", ("a" * 150 + "/../../x", {})),
    ("escaping", ("l", {"type": tarfile.SYMTYPE, "linkname": "b/../../" + "c" * 200})),
]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize(
    ("name", "member"), FOUND, ids=lambda value: value[0][:20] if isinstance(value, tuple) else value
)
def test_what_gives_power_or_leads_out_is_found(name: str, member: tuple[str, dict[str, Any]], form: int) -> None:
    harmless = ("usr/lib/x", {"type": tarfile.SYMTYPE, "linkname": "../share/y"})
    section = inspected(
        gzip.compress(tar(harmless, (member[0], dict(member[1])), ("etc/ok", {"data": b"ok"}), form=form))
    )
    assert [entry["path"] for entry in section.details[name]] == [member[0]]
    assert section.details["entries"] == 3
    assert section.outcome == ("fail" if name == "escaping" else "note")


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_packing_is_looked_through(packing: str) -> None:
    packed = PACKINGS[packing](tar(("usr/bin/su", {"mode": 0o4755, "data": b"x" * 1000}), ("etc/ok", {})))
    assert (inspected(packed).details["entries"], len(inspected(packed).details["setuid"])) == (2, 1)


def test_a_plain_layer_without_findings_is_ok() -> None:
    plain = tar(("etc", {"type": tarfile.DIRTYPE, "mode": 0o755}), ("etc/ok", {"data": b"ok"}))
    assert inspected(plain, media_type="application/vnd.oci.image.layer.v1.tar").outcome == "ok"


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_bomb_is_not_followed(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAYER_FLOOR", 1_000_000)
    section = inspected(pack(tar(("zeros", {"data": bytes(30_000_000)}))))
    assert section.outcome == "fail"
    assert "grows too large" in section.details["unread"][0]["reason"]


def test_too_many_entries_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAYER_ENTRIES", 10)
    section = inspected(gzip.compress(tar(*((f"f{number}", {}) for number in range(11)))))
    assert "too many entries" in section.details["unread"][0]["reason"]


def test_a_layer_that_takes_too_long_is_said_to_be_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAYERS_TIME", -1.0)
    assert "too long" in inspected(gzip.compress(tar(("f", {})))).details["unread"][0]["reason"]


def test_a_name_of_gigabytes_is_not_held() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    section = inspected(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    assert "too long" in section.details["unread"][0]["reason"]


@pytest.mark.parametrize(
    "blob",
    [b"\x1f\x8bnot gzip at all", gzip.compress(tar(("f", {"data": b"x" * 9000})))[:-40], zstd.compress(b"x" * 600)[:-3],
     gzip.compress(b"x" * 600), gzip.compress(tar(("f", {"data": b"x" * 900}))[:700]), b"plain text, no archive" * 40],
    ids=["not gzip", "cut gzip", "cut zstd", "no tar", "cut tar", "no packing"],
)  # fmt: skip
def test_a_layer_that_cannot_be_read_is_said_to_be_unread(blob: bytes) -> None:
    section = inspected(blob)
    assert (section.outcome, len(section.details["unread"])) == ("fail", 1)
