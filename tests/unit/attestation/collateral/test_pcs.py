# SPDX-License-Identifier: MIT
"""Fetched collateral is the signed bytes, whichever service answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.collateral import INTEL_PCS, PCKAuthority, PlatformKind, pccs
from buildernet.attestation.collateral.pcs import fetch_collateral, split_signed
from buildernet.attestation.errors import CollateralError
from tests.support.minted_chain import shared_chain
from tests.support.minted_pki import FMSPC
from tests.support.provisioning_service import ProvisioningService, signed

COLLATERAL = shared_chain().collateral()
KIND = PlatformKind(FMSPC, PCKAuthority.PLATFORM)


async def test_intels_service_is_asked_as_documented() -> None:
    service = ProvisioningService(COLLATERAL)
    assert await fetch_collateral(KIND, service=INTEL_PCS, fetch=service) == COLLATERAL
    base = "https://api.trustedservices.intel.com"
    assert service.urls == [
        f"{base}/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        f"{base}/tdx/certification/v4/tcb?fmspc=50806F000000",
        f"{base}/tdx/certification/v4/qe/identity",
        "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
    ]


async def test_pccs_answers_the_root_crl_in_hexadecimal() -> None:
    service = ProvisioningService(COLLATERAL)
    service.hexadecimal = True
    fetched = await fetch_collateral(KIND, service=pccs("https://pccs:8081/"), fetch=service)
    assert fetched == COLLATERAL
    assert service.urls[-1] == "https://pccs:8081/sgx/certification/v4/rootcacrl"


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("/pckcrl?", b"not hexadecimal"),
        ("/qe/identity", b"{}"),
        ("/tdx/certification/v4/tcb?", signed("enclaveIdentity", b"{}", b"")),
        ("/tdx/certification/v4/tcb?", b'{"signature":"00","tcbInfo":[]}'),
    ],
)
async def test_other_answers_are_refused(part: str, body: bytes) -> None:
    service = ProvisioningService(COLLATERAL)
    service.bodies[part] = body
    with pytest.raises(CollateralError):
        await fetch_collateral(KIND, service=INTEL_PCS, fetch=service)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), JSON), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_signed_bytes_are_kept_exactly(value: object, separators: tuple[str, str]) -> None:
    data = json.dumps(value, separators=separators).encode()
    assert split_signed(signed("tcbInfo", data, b"\1\2"), "tcbInfo") == (data, b"\1\2")


@given(st.binary(max_size=60))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(CollateralError):
        split_signed(b'{"tcbInfo":' + noise, "tcbInfo")
