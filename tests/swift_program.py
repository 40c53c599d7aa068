"""OpenStack Swift with its S3 API in one process, for tests, run by Swift's own Python with FOLDER REGION KEY SECRET.

Prints the proxy's port on a line once it takes connections. Accounts, containers, objects and the proxy are Swift's own
servers on four sockets; one device, one replica, below the folder.
"""

# ruff: noqa: E402
# mypy: ignore-errors
from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import sys
import threading
from pathlib import Path

from eventlet import wsgi

SERVER = """[DEFAULT]
devices = {folder}/devices
mount_check = false
swift_dir = {folder}
disable_fallocate = true
fallocate_reserve = 0
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = """[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = {region}
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


def main(folder: Path, region: str, key: str, secret: str) -> None:
    kinds = ("account", "container", "object")
    sockets = {kind: eventlet.listen(("127.0.0.1", 0)) for kind in (*kinds, "proxy")}
    (folder / "devices" / "one").mkdir(parents=True)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = tests\n[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    from swift.common import utils

    utils.config.SWIFT_CONF_FILE = str(folder / "swift.conf")
    utils.SWIFT_CONF_FILE = str(folder / "swift.conf")
    from swift.common.ring import RingBuilder
    from swift.common.wsgi import loadapp

    for kind in kinds:
        builder = RingBuilder(2, 1, 1)
        builder.add_dev(
            {"id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "device": "one",
             "port": sockets[kind].getsockname()[1], "replication_ip": "127.0.0.1",
             "replication_port": sockets[kind].getsockname()[1], "meta": ""}
        )  # fmt: skip
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{kind}.ring.gz"))
        (folder / f"{kind}.conf").write_text(SERVER.format(folder=folder, kind=kind))
    (folder / "proxy.conf").write_text(
        PROXY.format(folder=folder, region=region, user=key.replace(":", "_"), secret=secret)
    )
    for kind, socket in sockets.items():
        app = loadapp(str(folder / f"{kind}.conf"))
        quiet = (folder / f"{kind}.log").open("a")
        eventlet.spawn(wsgi.server, socket, app, log=quiet, keepalive=True)
    eventlet.sleep(0)
    print(sockets["proxy"].getsockname()[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
