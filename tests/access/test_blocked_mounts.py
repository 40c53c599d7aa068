"""Whoever may not pull what is there learns by no mount, upload or manifest that people blocked it, or why."""

from __future__ import annotations

import json

import pytest

from appliance import clock
from appliance.store.writes.lifecycle import Block
from bundles.oci.digest import Digest
from tests.access.site import Site, basic

SECRET, PUBLIC = b"what is in the vault", b"what is in the vault as well"
WHY = "CVE-2026-1234"


@pytest.mark.parametrize("source", ["", "&from=secret/app", "&from=secret%2Fapp", "&from=secret/none"])
def test_a_mount_tells_nothing_of_blocked_content_that_one_may_not_pull(site: Site, source: str) -> None:
    server = site.worker()
    site.person("olga", "maintainer **")
    site.person("alice", "writer team/**")
    for body in (SECRET, PUBLIC):
        pushed = server.ask(
            "POST", f"/v2/secret/app/blobs/uploads/?digest={Digest.of(body)}", body, basic("olga"),
        )  # fmt: skip
        assert pushed.status == 201
    blocked, other = str(Digest.of(SECRET)), str(Digest.of(PUBLIC))
    site.submit(Block(digest=blocked, why=WHY, actor="anna", at=clock.now()))
    heard = []
    for digest in (blocked, other):
        mount = server.ask("POST", f"/v2/team/app/blobs/uploads/?mount={digest}{source}", headers=basic("alice"))
        wrong = server.ask("POST", f"/v2/team/app/blobs/uploads/?digest={digest}", b"other bytes", basic("alice"))
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(SECRET)}
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [layer],
             "config": layer | {"mediaType": "application/vnd.oci.image.config.v1+json"}}
        ).encode()  # fmt: skip
        named = server.ask(
            "PUT", "/v2/team/app/manifests/1", manifest,
            {"Content-Type": "application/vnd.oci.image.manifest.v1+json", **basic("alice")},
        )  # fmt: skip
        heard.append([(one.status, one.body.replace(digest.encode(), b"DIGEST")) for one in (mount, wrong, named)])
        assert all(WHY.encode() not in one.body for one in (mount, wrong, named))
    assert heard[0] == heard[1]
    assert [status for status, _ in heard[0]] == [202, 400, 400]
    assert b"MANIFEST_BLOB_UNKNOWN" in heard[0][2][1]
    assert server.ask("POST", f"/v2/other/app/blobs/uploads/?mount={blocked}&from=secret/app", headers=basic("olga")
                      ).status == 403, "who may pull it is told"  # fmt: skip
