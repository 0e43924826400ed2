"""What may be typed as the address of a calendar, and what the internet is."""

import ipaddress

import pytest

from coaches.feeds.addresses import AddressRefused, is_public, normal_address, parse, shortened

pytestmark = pytest.mark.thorough

PRIVATE = """
    127.0.0.1 127.255.255.254 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 100.127.255.255
    0.0.0.0 0.1.2.3 192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
    240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b:1::1 100::1
    fe80::1 fe80::1%1 fec0::1 fc00::1 fd12:3456::1 ff02::1 2001::1 2001:10::1 2001:db8::1 2002:7f00:1:: 3fff::1 4000::1
""".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_a_private_or_set_aside_network_is_not_the_internet(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])
def test_an_address_of_everyone_is_the_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://Calendar.Example/a.ics", "https://calendar.example/a.ics"),
        ("webcal://calendar.example/a.ics", "https://calendar.example/a.ics"),
        ("WEBCAL://calendar.example:443/a.ics", "https://calendar.example/a.ics"),
        ("http://calendar.example:80", "http://calendar.example/"),
        ("https://calendar.example/a?token=1&b=%20x#top", "https://calendar.example/a?token=1&b=%20x"),
        ("https://bücher.example/ü.ics", "https://xn--bcher-kva.example/%C3%BC.ics"),
        ("https://calendar.example./a", "https://calendar.example/a"),
        ("https://[2606:4700::1111]/a", "https://[2606:4700::1111]/a"),
    ],
)
def test_an_address_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert normal_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "calendar.example/a.ics",
        "ftp://calendar.example/a.ics",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "javascript:alert(1)",
        "https://",
        "https:///a.ics",
        "https://calendar.example:8080/a.ics",
        "https://calendar.example:99999/a.ics",
        "https://calendar.example:x/a.ics",
        "https://person:password@calendar.example/a.ics",
        "https://@calendar.example/a.ics",
        "https://calendar.example/a b.ics",
        "https://calendar.example/a\r\nHost: other.example",
        "https://calendar.example/a\tb",
        "https://calendar.example/a\x00b",
        "https://[::1/a.ics",
        "https://" + "a" * 64 + ".example/",
        "https://a..example/",
        "https://calendar.example/" + "a" * 1000,
        "https://calendar.example/" + "ü" * 400,
        "http://127.0.0.1/a.ics",
        "http://[::1]/a.ics",
        "http://[::ffff:10.0.0.1]/a.ics",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_it_refuses_what_is_no_public_address_of_the_web(typed: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        normal_address(typed)
    assert "example" not in str(refused.value)


def test_the_secret_is_neither_shown_nor_in_what_a_log_would_write() -> None:
    address = "https://calendar.example/private-abc/basic.ics?key=abc"
    assert shortened(address) == "calendar.example/…"
    assert "abc" not in repr(parse(address))
