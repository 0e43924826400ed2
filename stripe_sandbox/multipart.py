"""Multipart bodies, which only file uploads use: `multipart/form-data` as RFC 2388 has it."""

import hashlib
import re
from typing import Any

from .errors import Json, StripeError, validation
from .forms import decode_pairs

_NAME = re.compile(rb'\bname="([^"]*)"')
_FILENAME = re.compile(rb'filename="([^"]*)"')
_BOUNDARY = re.compile(r'boundary="?([^";]{1,200})"?')


class Upload(dict[str, Any]):
    """An uploaded file: the mapping describes it, for the request log and for comparing parameters; `content` is its bytes."""

    content: bytes = b""


def decode(body: bytes, content_type: str) -> Json:
    """The parameters of a multipart body; a part with a file name becomes an Upload. Raises StripeError 400 for a broken body."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _broken()
    marker = b"--" + found.group(1).encode()
    parts = (b"\r\n" + body).split(b"\r\n" + marker)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise _broken()
    uploads: Json = {}
    pairs: list[tuple[str, str]] = []
    for part in parts[1:-1]:
        head, separator, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not separator or name is None:
            raise _broken()
        filename = _FILENAME.search(head)
        if filename is not None:
            uploads[_text(name.group(1))] = _upload(_text(filename.group(1)), content)
        else:
            pairs.append((_text(name.group(1)), _text(content)))
    return {**decode_pairs(pairs), **uploads}


def _upload(filename: str, content: bytes) -> Upload:
    upload = Upload(filename=filename, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    upload.content = content
    return upload


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise validation("Invalid request: the body is not valid UTF-8.") from error


def _broken() -> StripeError:
    return validation("Invalid request: the body is not valid multipart/form-data.")
