"""An event of the audit log as a syslog message (RFC 5424), framed by counting its octets (RFC 5425, section 4.3)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from appliance.limits import forwarding as limits
from bundles.documents.audit_log import line_of

_AUDIT: Final = 13
"""The facility `log audit` (RFC 5424, section 6.2.1)."""

_SEVERITY: Final = {"done": 5, "refused": 4, "failed": 3}
"""Notice, warning and error, by an event's outcome."""

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


def frame_of(line: bytes, site: str) -> bytes:
    """The message about an event, whose line is as the log has it, with its length before it.

    Its content is that line: the chain of the log can be followed at the collector too. Of a line that makes a message
    longer than limits.SYSLOG_MESSAGE the detail is left out, and that is said in it.
    """
    event: dict[str, Any] = json.loads(line)
    priority = _AUDIT * 8 + _SEVERITY.get(str(event["outcome"]), 5)
    at = (_START + timedelta(microseconds=int(event["micros"]))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    about = header_name(str(event["act"]), 32)
    head = f"<{priority}>1 {at} {header_name(site, 255)} lockgate {int(event['pid'])} {about} - "
    content = line.rstrip(b"\n")
    if len(head) + len(content) > limits.SYSLOG_MESSAGE:
        content = line_of(event | {"detail": {"left out": len(content)}}).rstrip(b"\n")
    return framed(head, content)


def framed(head: str, content: bytes) -> bytes:
    """A message with its length before it."""
    message = head.encode() + content
    return b"%d %s" % (len(message), message)


def header_name(text: str, most: int) -> str:
    """A field of the header: printable ASCII without spaces, `-` for none (RFC 5424, section 6)."""
    return "".join(character for character in text if "!" <= character <= "~")[:most] or "-"
