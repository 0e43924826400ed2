"""Which addresses of calendars are read, and how one is shown. An address is a secret: errors never repeat it."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

from marketplace.lib.errors import DomainError

LONGEST = 1000
SCHEMES = {"http": "http", "https": "https", "webcal": "https", "webcals": "https"}
DEFAULT_PORTS = {"http": 80, "https": 443}
PORTS = frozenset(DEFAULT_PORTS.values())
# What may stand in a path or a query as it is; anything else is percent-encoded.
_AS_IT_IS = "%/?:@!$&'()*+,;=~-._[]|"

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# IPv6 beyond the space given out to the public, or with an IPv4 address inside (6to4) that nobody has checked.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
_SPECIAL = [ipaddress.ip_network(each) for each in ("192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")]


class FeedTrouble(DomainError):
    """A calendar can't be read at the moment; the words say why, to its coach."""

    code = "feed_trouble"


class AddressRefused(FeedTrouble):
    """An address that is not read, whatever is there."""

    code = "address_refused"
    status = 400


@dataclass(frozen=True)
class Target:
    """Where one request goes: an ASCII host name or address, and what to ask it for."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)  # with the query; the secret

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def parse(address: str, *, ports: frozenset[int] = PORTS) -> Target:
    """What a typed or answered address leads to; webcal:// is https. Raises AddressRefused."""
    if len(address) > LONGEST or any(ord(letter) <= 32 or ord(letter) == 127 for letter in address):
        raise AddressRefused("This is not an address of a calendar.")
    try:
        parts = urlsplit(address)
        scheme, host, port = SCHEMES[parts.scheme], _ascii_host(parts), parts.port
    except (ValueError, KeyError):
        raise AddressRefused("An address of a calendar begins with https:// or webcal://.") from None
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("Leave out the name and password: only an address that needs none can be read.")
    port = port or DEFAULT_PORTS[scheme]
    if port not in ports:
        raise AddressRefused("Only the usual ports of the web are read.")
    path = quote(parts.path or "/", safe=_AS_IT_IS) + ("?" + quote(parts.query, safe=_AS_IT_IS) if parts.query else "")
    return Target(scheme, host, port, path)


def _ascii_host(parts: SplitResult) -> str:
    """Raises ValueError for none, and for a name that the network has no way to write."""
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise ValueError("An address needs a host.")
    return host if ":" in host else host.encode("idna").decode()


def normal_address(typed: str) -> str:
    """The address as it is kept. Raises AddressRefused, also for one that names a private machine by its number."""
    target = parse(typed)
    try:
        number = ipaddress.ip_address(target.host)
    except ValueError:
        number = None
    if number is not None and not is_public(number):
        raise AddressRefused("Only calendars on the public internet are read.")
    if len(target.address) > LONGEST:
        raise AddressRefused("This address is too long.")
    return target.address


def is_public(address: IPAddress) -> bool:
    """Whether the internet at large is there: not this machine, its network, or anything set aside."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    set_aside = address.is_private or address.is_reserved or address.is_multicast or address.is_unspecified
    if set_aside or address.is_loopback or address.is_link_local or not address.is_global:
        return False
    return not any(address in network for network in _SPECIAL)


def shortened(address: str) -> str:
    """As a page may show it: whose calendar it is, nothing that lets anyone read it."""
    return f"{urlsplit(address).hostname}/…"
