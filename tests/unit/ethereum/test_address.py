# SPDX-License-Identifier: MIT
import pytest

from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import AddressFormatError
from buildernet.ethereum.keccak import compute_keccak256

# The four mixed-case examples of EIP-55.
EXAMPLES = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


def test_keccak_is_not_sha3():
    assert compute_keccak256(b"").hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )


@pytest.mark.parametrize("text", EXAMPLES)
def test_address_of_any_case_gets_its_checksum(text):
    for spelling in (text, text.lower(), "0x" + text[2:].upper()):
        address = Address.parse(spelling)
        assert str(address) == text
        assert address.hex() == text.lower()
        assert address == Address(bytes.fromhex(text[2:]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        EXAMPLES[0][2:],
        EXAMPLES[0] + "0",
        EXAMPLES[0][:-1],
        EXAMPLES[0] + "\n",
        "0X" + EXAMPLES[0][2:],
        "0x" + "g" * 40,
        "0x" + "\uff11" * 40,
    ],
)
def test_other_text_is_no_address(text):
    with pytest.raises(AddressFormatError, match="no address"):
        Address.parse(text)


@pytest.mark.parametrize("size", [0, 19, 21, 32])
def test_address_has_twenty_bytes(size):
    with pytest.raises(AddressFormatError, match="20 bytes"):
        Address(bytes(size))
