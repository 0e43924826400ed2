"""The mail that development writes to files, read back.

Django's file backend appends messages to a file for each connection, every one followed by a line of 79 dashes.
"""

import email
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

_SEPARATOR = b"\n" + b"-" * 79 + b"\n"


@dataclass(frozen=True)
class StoredMail:
    """`key` names the message in the page's address; `sent_at` is the machine's time."""

    key: str
    sent_at: datetime
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "")

    @property
    def to(self) -> str:
        return str(self.message["To"] or "")

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    @property
    def attachments(self) -> list[str]:
        return [part.get_filename() or part.get_content_type() for part in self.message.iter_attachments()]

    def _body(self, kind: str) -> str:
        part = self.message.get_body(preferencelist=(kind,))
        return str(part.get_content()) if part else ""


def newest_first(folder: Path) -> list[StoredMail]:
    """Every message in the folder. A folder that is not there holds none."""
    paths = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
    found = [mail for path in paths for mail in _read(path)]
    # Their dates know no fractions of a second: within one, the order of the files and in them stands.
    return sorted(found, key=lambda mail: mail.sent_at)[::-1]


def _read(path: Path) -> list[StoredMail]:
    mails = []
    for index, raw in enumerate(path.read_bytes().split(_SEPARATOR)):
        if not raw.strip():
            continue
        message = email.message_from_bytes(raw, policy=policy.default)
        mails.append(StoredMail(f"{path.stem}-{index:03}", parsedate_to_datetime(message["Date"]), message))
    return mails
