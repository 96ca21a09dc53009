# SPDX-License-Identifier: MIT
"""Intel's provisioning service in memory: answers from minted collateral, counts, and can fail."""

from collections.abc import Mapping
from urllib.parse import quote

from buildernet.attestation.collateral import Collateral
from buildernet.base.errors import BuildernetError


class ProvisioningService:
    """A `Fetcher` that answers as PCS and PCCS do."""

    def __init__(self, collateral: Collateral) -> None:
        self.collateral = collateral
        self.urls: list[str] = []
        self.is_down = False
        self.hexadecimal = False
        self.bodies: dict[str, bytes] = {}

    async def __call__(self, url: str, *, limit: int) -> tuple[bytes, Mapping[str, str]]:
        self.urls.append(url)
        if self.is_down:
            raise BuildernetError("simulated service is down")
        for part, (body, headers) in self._answers().items():
            if part in url:
                return self.bodies.get(part, body)[:limit], headers
        raise BuildernetError(f"{url}: status 404")

    def _answers(self) -> dict[str, tuple[bytes, Mapping[str, str]]]:
        one = self.collateral
        chain = {name: quote(pem.decode()) for name, pem in (
            ("crl", one.pck_crl_issuer_chain),
            ("tcb", one.tcb_info_issuer_chain),
            ("qe", one.qe_identity_issuer_chain),
        )}  # fmt: skip
        root_crl = one.root_ca_crl.hex().encode() if self.hexadecimal else one.root_ca_crl
        return {
            "/pckcrl?": (one.pck_crl, {"SGX-PCK-CRL-Issuer-Chain": chain["crl"]}),
            "/tdx/certification/v4/tcb?": (
                signed("tcbInfo", one.tcb_info, one.tcb_info_signature),
                {"tcb-info-issuer-chain": chain["tcb"]},
            ),
            "/qe/identity": (
                signed("enclaveIdentity", one.qe_identity, one.qe_identity_signature),
                {"SGX-Enclave-Identity-Issuer-Chain": chain["qe"]},
            ),
            "IntelSGXRootCA.der": (root_crl, {}),
            "/rootcacrl": (root_crl, {}),
        }


def signed(name: str, value: bytes, signature: bytes) -> bytes:
    """Return an answer with its signature, as the service writes it."""
    return b'{"%s":%s,"signature":"%s"}' % (name.encode(), value, signature.hex().encode())
