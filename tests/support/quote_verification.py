# SPDX-License-Identifier: MIT
"""Minted quotes put to the verifier, and the form every refusal has."""

from typing import Any

import pytest

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import (
    VerificationError,
)
from buildernet.attestation.verify import (
    TrustAnchors,
    VerifiedQuote,
    verify_quote,
)
from tests.support.minted_chain import (
    MINTED_AT,
    Domain,
    Enclave,
    MintedChain,
    shared_chain,
)

CHAIN = shared_chain()
COLLATERAL = CHAIN.collateral()
ORDINARY_DOMAIN = Domain()
ORDINARY_ENCLAVE = Enclave()


def verify(
    domain: Domain = ORDINARY_DOMAIN,
    enclave: Enclave = ORDINARY_ENCLAVE,
    *,
    chain: MintedChain = CHAIN,
    collateral: Collateral = COLLATERAL,
    quote: bytes | None = None,
    **arguments: Any,
) -> VerifiedQuote:
    given: dict[str, Any] = {
        "at": MINTED_AT,
        "report_data": None,
        "measurements": None,
        "roots": TrustAnchors((chain.root.der,)),
    }
    return verify_quote(
        chain.quote(domain, enclave) if quote is None else quote,
        collateral=collateral,
        **(given | arguments),
    )


def refused(step: str, what: str, **arguments: Any) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        verify(**arguments)
    error = caught.value
    assert (error.step, what in error.what) == (step, True), str(error)
    assert error.expected != error.actual
    assert all(record.step < step for record in error.passed)
    return error
