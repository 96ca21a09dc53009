# SPDX-License-Identifier: MIT
import hashlib

from buildernet.attestation.registers import Bank
from buildernet.measure.digests import Hasher, digests_of


def test_both_algorithms_over_all_chunks() -> None:
    digests = digests_of(b"one", memoryview(b"two"))
    assert digests.of(Bank.SHA256) == hashlib.sha256(b"onetwo").digest()
    assert digests.of(Bank.SHA384) == hashlib.sha384(b"onetwo").digest()


def test_copy_is_independent() -> None:
    first = Hasher().update(b"start")
    second = first.copy().update(b"more")
    assert first.digests() == digests_of(b"start")
    assert second.digests() == digests_of(b"startmore")
