# SPDX-License-Identifier: MIT
"""The default anchor is Intel's root and nothing else."""

import hashlib

import pytest
from cryptography import x509

from buildernet.attestation.errors import PolicyError
from buildernet.attestation.verify import INTEL, TrustAnchors
from buildernet.attestation.verify.anchors import (
    INTEL_SGX_ROOT_CA,
    INTEL_SGX_ROOT_CA_SHA256,
    MAX_ROOTS,
)


def test_default_is_intels_root_alone() -> None:
    assert INTEL.roots == (INTEL_SGX_ROOT_CA,)
    assert hashlib.sha256(INTEL_SGX_ROOT_CA).hexdigest() == INTEL_SGX_ROOT_CA_SHA256
    subject = x509.load_der_x509_certificate(INTEL_SGX_ROOT_CA).subject.rfc4514_string()
    assert "CN=Intel SGX Root CA" in subject
    assert "SIMULATED" not in subject


@pytest.mark.parametrize("count", [0, MAX_ROOTS + 1])
def test_no_root_or_too_many_are_refused(count: int) -> None:
    with pytest.raises(PolicyError):
        TrustAnchors((INTEL_SGX_ROOT_CA,) * count)
