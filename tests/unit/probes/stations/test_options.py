"""What DHCP options and TCP options say, and that hostile ones do no harm."""

from hypothesis import given
from hypothesis import strategies as st

from meshlens.probes.stations.options import dhcp_fingerprint, syn_signature
from meshlens.probes.stations.record import DhcpFingerprint, SynSignature

MAGIC = bytes((99, 130, 83, 99))


def tcp(options: bytes, window: int = 29200) -> bytes:
    offset = (20 + len(options)) // 4 << 4
    return bytes(12) + bytes([offset, 2]) + window.to_bytes(2) + bytes(4) + options


def test_options_are_told_in_their_order() -> None:
    options = b"\x35\x01\x03\x37\x03\x01\x03\x06\x0c\x05phone\x3c\x04MSFT\xff\x0c\x01x"
    assert dhcp_fingerprint(MAGIC + options) == DhcpFingerprint((53, 55, 12, 60), (1, 3, 6), "MSFT", "phone")


def test_padding_is_passed_over_and_an_option_that_comes_again_goes_on() -> None:
    options = b"\x00\x00\x0c\x02ab\x00\x0c\x01c\xff"
    assert dhcp_fingerprint(MAGIC + options) == DhcpFingerprint((12, 12), (), "", "abc")


def test_an_option_that_runs_over_the_end_is_read_as_far_as_it_goes() -> None:
    assert dhcp_fingerprint(MAGIC + b"\x0c\xffabc") == DhcpFingerprint((12,), (), "", "abc")
    assert dhcp_fingerprint(MAGIC + b"\x0c") == DhcpFingerprint((12,), (), "", "")


def test_without_the_magic_number_there_are_no_options() -> None:
    assert dhcp_fingerprint(b"\x35\x01\x03") is None
    assert dhcp_fingerprint(b"") is None


def test_a_host_name_cannot_steer_a_terminal() -> None:
    told = dhcp_fingerprint(MAGIC + b"\x0c\x08a\x1b[2J\n\xff\x00")
    assert told is not None
    assert told.hostname.isprintable()
    assert told.hostname.startswith("a\N{REPLACEMENT CHARACTER}[2J")


def test_a_syn_tells_its_window_its_mss_and_its_options() -> None:
    linux = b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + bytes(8) + b"\x01\x03\x03\x07"
    assert syn_signature(64, tcp(linux)) == SynSignature(64, 29200, 1460, (2, 4, 8, 1, 3))


def test_options_end_where_the_header_or_their_list_ends() -> None:
    assert syn_signature(64, tcp(b"\x01\x01\x00\x02") + b"\x02\x04\x05\xb4") == SynSignature(
        64, 29200, 0, (1, 1, 0)
    )
    assert syn_signature(64, tcp(b"")) == SynSignature(64, 29200, 0, ())


def test_an_option_without_a_length_ends_the_list_instead_of_never() -> None:
    assert syn_signature(1, tcp(b"\x08\x00\x01\x01")) == SynSignature(1, 29200, 0, (8,))
    assert syn_signature(1, tcp(b"\x02\x03\x05\x01")) == SynSignature(1, 29200, 0, (2, 1))


def test_a_header_that_is_not_whole_says_nothing() -> None:
    assert syn_signature(64, tcp(b"")[:19]) is None
    assert syn_signature(64, bytes(12) + b"\x40" + bytes(27)) is None


@given(st.binary(max_size=400))
def test_nothing_that_is_sent_makes_an_error(data: bytes) -> None:
    told = dhcp_fingerprint(MAGIC + data)
    assert told is not None
    assert len(told.options) <= len(data)
    assert (told.hostname + told.vendor_class).isprintable()
    signature = syn_signature(64, data)
    assert signature is None or len(signature.options) <= 40
