"""The URL of a file that `collect` takes: what is kept of it in a job's params, in a lock and in a bundle.

So nothing in it may be a secret. An account is refused, and so is a query, whatever it says: nobody can tell a signed
one from another.
"""

from __future__ import annotations

import re
from typing import Final

from bundles.errors import UsageError

_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?"
_URL: Final = re.compile(rf"https?://{_HOST}/[!-\"$->@-~]*\Z")


def check_file_url(text: str) -> None:
    """Raises UsageError for what is no `https://HOST[:PORT]/PATH` or `http://…`, an account, a query or a fragment
    among it; the error quotes none of these."""
    if _URL.match(text):
        return
    if not re.search("[@?#]", text):
        raise UsageError("not the URL of a file", thing=repr(text[:200]), remedy="write https://HOST[:PORT]/PATH")
    # Where an account ends nobody knows in a malformed URL: nothing of it is shown.
    raise UsageError(
        "a URL with an account, a query or a fragment",
        thing="a file by URL" if "@" in text else repr(re.split("[?#]", text)[0][:200]),
        remedy="fetch the file by other means and collect it with file:PATH: jobs, locks and bundles keep a URL",
    )
