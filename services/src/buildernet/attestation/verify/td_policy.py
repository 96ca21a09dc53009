# SPDX-License-Identifier: MIT
"""What a verifier demands of the trust domain itself (step L).

A domain that its host can debug or profile is refused whatever the policy says.

Reference:
    TDX module ABI 348551-008, TDATTRIBUTES and XFAM; specs/attestation.md section 2.4, L.
"""

from dataclasses import dataclass, field
from typing import Final

from buildernet.attestation.errors import PolicyError
from buildernet.attestation.quote.body import PROFILING, TDAttributes, TDReport, TDReport15
from buildernet.attestation.registers import Digest48
from buildernet.attestation.verify.steps import Step, refusal

NEVER_ALLOWED: Final = TDAttributes.DEBUG | PROFILING
"""The host reads or times the domain: no secret is safe in it."""

XFAM_ALWAYS: Final = 0x3
"""x87 and SSE state: fixed to 1 by the TDX module."""

XFAM_KNOWN: Final = 0x0006_DBE7
"""Bits that the TDX module may set; every other must be zero."""

ZERO: Final = Digest48(bytes(Digest48.size))

_KNOWN: Final = sum(TDAttributes)


@dataclass(frozen=True, slots=True)
class TDPolicy:
    """Demands on attributes and configuration; measurements are `attestation.policy`'s.

    Raises:
        PolicyError: it would allow a domain that its host can look into, or unknown attributes.
    """

    required_attributes: TDAttributes = TDAttributes.SEPT_VE_DISABLE
    """Must be set. Without SEPT_VE_DISABLE the host can inject faults into the guest's memory."""
    allowed_attributes: TDAttributes = field(default=TDAttributes(0))
    """May be set beside the required ones."""
    service_tds: tuple[Digest48, ...] = (ZERO,)
    """Legal MRSERVICETD of 1.5 bodies: no service TD by default."""
    mrseam: tuple[Digest48, ...] | None = None
    """TDX modules taken; None takes each that Intel signed and step H knows."""
    mr_config_id: Digest48 = ZERO
    mr_owner: Digest48 = ZERO
    mr_owner_config: Digest48 = ZERO

    def __post_init__(self) -> None:
        named = self.required_attributes | self.allowed_attributes
        if named & NEVER_ALLOWED:
            raise PolicyError("debugging and profiling of a trust domain can never be allowed")
        if int(named) & ~_KNOWN:
            raise PolicyError(f"unknown TD attributes 0x{int(named) & ~_KNOWN:x} cannot be allowed")
        if not self.service_tds or self.mrseam == ():
            raise PolicyError("an empty list of service TDs or TDX modules lets nothing pass")

    def check(self, body: TDReport) -> None:
        """Step L, without measurements and report data.

        Raises:
            VerificationError: the domain is not as demanded.
        """
        self._check_attributes(body.td_attributes)
        if body.xfam & XFAM_ALWAYS != XFAM_ALWAYS or body.xfam & ~XFAM_KNOWN:
            legal = f"bits of 0x{XFAM_KNOWN:x} with 0x{XFAM_ALWAYS:x}"
            raise refusal(Step.TD_POLICY, "XFAM", legal, f"0x{body.xfam:x}")
        for name, wanted, actual in (
            ("MRCONFIGID", self.mr_config_id, body.mr_config_id),
            ("MROWNER", self.mr_owner, body.mr_owner),
            ("MROWNERCONFIG", self.mr_owner_config, body.mr_owner_config),
        ):
            if actual != wanted:
                raise refusal(Step.TD_POLICY, name, wanted.hex(), actual.hex())
        if self.mrseam is not None and body.mrseam not in self.mrseam:
            legal = " or ".join(value.hex() for value in self.mrseam)
            raise refusal(Step.TD_POLICY, "MRSEAM", legal, body.mrseam.hex())
        if isinstance(body, TDReport15) and body.mr_service_td not in self.service_tds:
            legal = " or ".join(value.hex() for value in self.service_tds)
            raise refusal(Step.TD_POLICY, "MRSERVICETD", legal, body.mr_service_td.hex())

    def _check_attributes(self, attributes: TDAttributes) -> None:
        if attributes & NEVER_ALLOWED:
            raise refusal(
                Step.TD_POLICY,
                "TD attributes",
                "no debugging, no profiling",
                f"0x{attributes:016x}",
                hint="the host can look into this trust domain",
            )
        missing = self.required_attributes & ~attributes
        surplus = int(attributes) & ~int(self.required_attributes | self.allowed_attributes)
        if missing or surplus:
            legal = f"0x{self.required_attributes:016x}"
            if self.allowed_attributes:
                legal += f" and any of 0x{self.allowed_attributes:016x}"
            raise refusal(Step.TD_POLICY, "TD attributes", legal, f"0x{attributes:016x}")


DEFAULT_TD_POLICY: Final = TDPolicy()
