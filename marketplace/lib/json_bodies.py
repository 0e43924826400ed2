"""What a program may send to the API. Apart from what else its endpoints share: the framework reads this first."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class ReadableJson(JSONParser):
    """Refuses what fails further in: half characters, which neither a text column nor an answer takes, and bodies that
    are nested thousands deep.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            sent = super().parse(stream, media_type, parser_context)
            json.dumps(sent, ensure_ascii=False).encode()
        except (RecursionError, UnicodeEncodeError) as error:
            raise ParseError from error
        return sent
