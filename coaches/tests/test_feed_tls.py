"""Calendars over TLS: the connection goes to a checked address, and what is verified is still the name."""

import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from coaches.feeds.addresses import FeedTrouble
from coaches.feeds.fetching import fetch
from coaches.tests.calendars import (
    HOST,
    SECRET,
    CalendarServer,
    answered,
    calendar,
    calendar_server,
    on_this_machine,
    sent_on,
)
from marketplace import clock

pytestmark = pytest.mark.thorough

PATH = f"/{SECRET}.ics"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of HOST, signed by itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = clock.wall()
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture
def names() -> list[str]:
    """What the server was asked to be."""
    return []


@pytest.fixture
def server(certificate: Path, names: list[str]) -> Iterator[CalendarServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _wire, name, _context: names.append(str(name))
    with calendar_server(context) as running:
        running.answers[PATH] = answered(calendar())
        yield running


@pytest.fixture
def trusting(certificate: Path) -> Callable[[], ssl.SSLContext]:
    return lambda: ssl.create_default_context(cafile=str(certificate))


def test_the_name_is_asked_for_and_verified(
    server: CalendarServer, names: list[str], trusting: Callable[[], ssl.SSLContext]
) -> None:
    assert fetch(server.address(), reach=on_this_machine(server, tls=trusting)) == calendar()
    assert names == [HOST]


def test_a_certificate_of_another_name_is_refused(
    server: CalendarServer, trusting: Callable[[], ssl.SSLContext]
) -> None:
    with pytest.raises(FeedTrouble, match="no valid certificate"):
        fetch(server.address(host="other.example"), reach=on_this_machine(server, tls=trusting))
    assert server.requests == []


def test_a_certificate_that_nobody_vouches_for_is_refused(server: CalendarServer) -> None:
    with pytest.raises(FeedTrouble, match="no valid certificate"):
        fetch(server.address(), reach=on_this_machine(server))
    assert server.requests == []


def test_a_server_that_does_not_answer_the_handshake_holds_nobody_up() -> None:
    with calendar_server() as plain:
        plain.answers[PATH] = answered(calendar())
        with pytest.raises(FeedTrouble, match="too slowly"):
            fetch(plain.address().replace("http:", "https:"), reach=on_this_machine(plain, seconds=0.5))
    assert plain.requests == []


def test_it_is_not_sent_on_to_where_anyone_could_read_along(
    server: CalendarServer, trusting: Callable[[], ssl.SSLContext]
) -> None:
    server.answers[PATH] = sent_on(f"http://{HOST}:{server.port}/{SECRET}")
    with pytest.raises(FeedTrouble, match="anyone on the way"):
        fetch(server.address(), reach=on_this_machine(server, tls=trusting))
    assert len(server.requests) == 1
