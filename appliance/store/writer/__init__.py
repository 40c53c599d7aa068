"""The one writer: typed writes in, group commits out, from whichever process they come.

What lives here: the thread that owns the only write connection, the Unix socket that other processes reach it by,
and the clients. What may not: any particular transaction (they are `store.writes`).
"""

from __future__ import annotations

from appliance.store.writer.clients import AsyncSocketWriter, SocketWriter
from appliance.store.writer.server import serve_writer
from appliance.store.writer.service import AsyncWriterService, LocalWriter, WriterService

__all__ = ["AsyncSocketWriter", "AsyncWriterService", "LocalWriter", "SocketWriter", "WriterService", "serve_writer"]
