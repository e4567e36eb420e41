"""The guard: which addresses are public, in every spelling of them."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.collect.ssrf_guard import check_literal, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:8.8.8.8", True),
        ("::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("2002:808:808::", True),
        ("168.63.129.16", False),
        ("::ffff:168.63.129.16", False),
        ("64:ff9b::a83f:8110", False),
        ("2002:a83f:8110::1", False),
        ("168.63.129.17", True),
        ("192.0.0.192", False),
        ("192.0.0.9", False),
        ("192.88.99.1", False),
        ("100.100.100.200", False),
        ("169.254.170.2", False),
        ("169.254.0.23", False),
        ("199.36.153.4", False),
        ("199.36.153.11", False),
        ("199.36.153.12", True),
        ("2600:2d00:2:1000::1", False),
        ("2600:2d00:2:2000::1", False),
        ("2600:2d00:2:3000::1", True),
        ("161.26.0.10", False),
        ("166.8.1.1", False),
        ("fd20:ce::254", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("::ffff:0:a9fe:a9fe", False),
        ("::a9fe:a9fe", False),
        ("2606:4700::5efe:a9fe:a9fe", False),
        ("2606:4700::200:5efe:a00:1", False),
        ("2606:4700::5efe:808:808", True),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("100::1", False),
        ("4000::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) == public


@given(ip_addresses(v=4))
def test_an_ipv4_address_is_classified_alike_in_every_ipv6_form(address: IPv4Address) -> None:
    number = int(address)
    forms = (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80)
    assert {is_public(str(IPv6Address(form))) for form in forms} == {is_public(str(address))}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "::1", "localhost", "a.LOCALHOST."],
)
def test_this_machine_is_refused_in_any_spelling(host: str) -> None:
    with pytest.raises(FetchError) as caught:
        check_literal(host)
    assert caught.value.reason == RejectionReason.FORBIDDEN_ADDRESS


@pytest.mark.parametrize(
    "host",
    [
        "metadata",
        "metadata.google.internal",
        "instance-data.ec2.internal.",
        "printer.local",
        "router.lan",
        "nas.home.arpa",
        "127%2e0%2e0%2e1",
        "fe80::1%25eth0",
        "fe80::1%eth0",
        "a..example",
        "a b.example",
        "",
        ".",
    ],
)
def test_internal_and_odd_names_are_refused_behind_a_proxy(host: str) -> None:
    with pytest.raises(FetchError, match="is not a public address"):
        check_literal(host)


def test_what_is_no_literal_is_left_to_the_proxy() -> None:
    check_literal("photos.example")
    check_literal("photos.example.")
    check_literal("xn--mnchen-3ya.example")
    check_literal("internal.example")
    check_literal("8.8.8.8")
    check_literal("2606:4700:4700::1111")
