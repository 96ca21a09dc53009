# SPDX-License-Identifier: MIT
"""What an entry of the hub's list must prove, one lie at a time."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import CollateralError
from buildernet.attestation.policy import MeasurementPolicy, parse_measurement_policy
from buildernet.attestation.quote.body import TDAttributes
from buildernet.attestation.verify import INTEL, TrustAnchors
from buildernet.base.errors import BuildernetError, ConfigError
from buildernet.orderflow_proxy import peer_evidence
from buildernet.orderflow_proxy.config import Evidence
from buildernet.orderflow_proxy.peer import Peer, PeerRefusedError, parse_peers
from buildernet.orderflow_proxy.peer_evidence import PeerVerifier, parse_statement, verifying
from buildernet.orderflow_proxy.peers import believe_hub
from tests.support.builder_hub import MEASUREMENT
from tests.support.hub_nodes import SimulatedNode, make_certificate
from tests.support.minted_chain import shared_chain
from tests.support.minted_pki import MINTED_AT

NODE, OTHER = SimulatedNode(), SimulatedNode()
ROOTS = TrustAnchors((shared_chain().root.der,))
COLLATERAL = shared_chain().collateral()
POLICY = parse_measurement_policy(json.dumps([MEASUREMENT]).encode())
ENTRY = {**NODE.attestation_request(), "name": "alpha", "dns_name": "alpha.x"}
DEBUG = int(TDAttributes.DEBUG | TDAttributes.SEPT_VE_DISABLE)


def listed(entry: dict[str, Any]) -> Peer:
    """What the proxy reads of a list with this entry."""
    found = parse_peers(json.dumps({"peer_list": [entry]}).encode())
    assert not found.refused
    return found.peers[0]


class Clock:
    now = float(MINTED_AT)


class Source:
    """Collateral, when there is some."""

    asked = 0
    error: Exception | None = None

    async def find(self, _quote: bytes) -> Collateral:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return COLLATERAL


def make_verifier(
    clock: type[Clock] | Clock = Clock,
    source: Source | None = None,
    *,
    measurements: list[MeasurementPolicy] | None = None,
    roots: TrustAnchors = ROOTS,
) -> PeerVerifier:
    current = measurements or [POLICY]
    return PeerVerifier(
        find_collateral=(source or Source()).find,
        measurements=lambda: current[0],
        max_age_s=3600,
        roots=roots,
        clock=lambda: clock.now,
    )


async def refusal(entry: dict[str, Any], verifier: PeerVerifier | None = None) -> PeerRefusedError:
    with pytest.raises(PeerRefusedError) as caught:
        await (verifier or make_verifier()).verify(listed(entry))
    return caught.value


async def test_what_is_proved_is_believed_and_nothing_the_hub_adds() -> None:
    believed = await make_verifier().verify(listed(ENTRY))
    assert (believed.certificates, believed.address) == (NODE.pem, NODE.signing.address)
    added = {
        **ENTRY,
        "tls_certificate": NODE.pem + OTHER.pem,  # would be pinned as another it may show
        "instance": {"tls_cert": OTHER.pem},
        "orderflow_proxy": {"ecdsa_pubkey_address": OTHER.address, "tls_cert": OTHER.pem},
    }
    assert OTHER.pem.strip() in listed(added).certificates
    believed = await make_verifier().verify(listed(added))
    assert (believed.certificates, believed.address) == (NODE.pem, NODE.signing.address)


def quoted(**domain: Any) -> dict[str, Any]:
    return {"tee_attestation": f"0x{NODE.quote(**domain).hex()}"}


def tampered() -> dict[str, Any]:
    quote = bytearray(NODE.quote())
    quote[48 + 136] ^= 1  # MRTD
    return {"tee_attestation": f"0x{quote.hex()}"}


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        (quoted(mrtd=b"\x99" * 48), "measurement", "step L: register mrtd"),
        ({"tls_certificate": OTHER.pem}, "step_L", "step L: report data"),
        ({"ecdsa_pubkey_address": OTHER.address}, "step_L", "step L: report data"),
        ({"ecdsa_pubkey_address": ""}, "step_L", "step L: report data"),
        ({"ip_address": "9.9.9.9"}, "step_L", "step L: report data"),
        ({"timestamp": MINTED_AT - 1}, "step_L", "step L: report data"),
        ({"node_id": "0x" + "77" * 32}, "step_L", "step L: report data"),
        (quoted(td_attributes=DEBUG), "step_L", "no debugging"),
        (tampered(), "step_G", "step G: signature of quote"),
        ({"timestamp": MINTED_AT - 3601}, "stale", "3601 s old"),
        ({"timestamp": MINTED_AT + 60}, "stale", "in the future"),
        ({"tee_attestation": None}, "format", "tee_attestation"),
        ({"tee_attestation": "0x00"}, "format", ""),
        ({"tee_attestation": "0x" + "00" * (128 * 1024 + 1)}, "format", "at most"),
        ({"attestation_type": "none"}, "format", "not known"),
        ({"attestation_type": "azure-tdx"}, "format", ""),
        ({"tls_certificate": ""}, "format", "certificate"),
    ],
)
async def test_every_lie_is_refused_with_its_step(
    changes: dict[str, Any], reason: str, said: str
) -> None:
    error = await refusal({**ENTRY, **changes})
    assert (error.reason, said in error.message) == (reason, True), error


async def test_older_evidence_that_is_bound_to_its_time_is_stale() -> None:
    old = SimulatedNode(timestamp=MINTED_AT - 4000)
    assert (await refusal({**old.attestation_request(), "name": "a"})).reason == "stale"


async def test_entry_without_evidence_is_refused() -> None:
    entry = {name: value for name, value in ENTRY.items() if name != "tee_attestation"}
    assert (await refusal(entry)).reason == "missing"


async def test_simulated_hardware_needs_its_root_to_be_named() -> None:
    error = await refusal(ENTRY, make_verifier(roots=INTEL))
    assert error.reason == "step_B", error


async def test_evidence_is_verified_once_until_it_expires() -> None:
    clock, peer = Clock(), listed(ENTRY)
    verifier = make_verifier(clock)
    for _ in range(3):
        await verifier.verify(peer)
    assert verifier.verified == 1
    clock.now = MINTED_AT + 3601
    with pytest.raises(PeerRefusedError, match="old"):
        await verifier.verify(peer)
    assert verifier.verified == 1
    # Another certificate over the same key is as good; another address is not.
    clock.now = float(MINTED_AT)
    renewed = SimulatedNode(key=NODE.key, signing=NODE.signing)
    renewed.certificate = make_certificate(NODE.key, name="renewed")
    await verifier.verify(listed({**ENTRY, "tls_certificate": renewed.pem}))
    assert verifier.verified == 1
    await refusal({**ENTRY, "ecdsa_pubkey_address": OTHER.address}, verifier)
    assert verifier.verified == 2


async def test_other_measurements_make_it_be_verified_again() -> None:
    stricter = {**MEASUREMENT, "measurements": {"1": {"expected": "77" * 48}}}
    current = [POLICY]
    verifier, peer = make_verifier(measurements=current), listed(ENTRY)
    await verifier.verify(peer)
    current[0] = parse_measurement_policy(json.dumps([stricter]).encode())
    with pytest.raises(PeerRefusedError, match="rtmr0"):
        await verifier.verify(peer)


async def test_refusals_are_remembered_and_missing_collateral_is_soon_asked_for_again() -> None:
    clock, source = Clock(), Source()
    verifier = make_verifier(clock, source)
    bad = {**ENTRY, **quoted(mrtd=b"\x99" * 48)}
    for _ in range(2):
        await refusal(bad, verifier)
    assert verifier.verified == 1
    source.error = CollateralError("service is away")
    for _ in range(2):
        assert (await refusal(ENTRY, verifier)).reason == "collateral"
    assert source.asked == 2
    source.error = None
    clock.now += peer_evidence.UNDECIDED_S
    await verifier.verify(listed(ENTRY))


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_evidence, "MAX_PEERS", 2)
    verifier = make_verifier()
    for number in range(8):
        changed = {**ENTRY, "node_id": f"0x{number + 1:064x}"}
        await refusal(changed, verifier)
    assert len(verifier._judgements) == 4


@given(
    st.dictionaries(
        st.sampled_from([*ENTRY]),
        st.none()
        | st.integers()
        | st.text(max_size=80)
        | st.just([])
        | st.binary(max_size=40).map(lambda data: "0x" + data.hex()),
        min_size=1,
    )
)
@settings(max_examples=60, deadline=None)
def test_parser_raises_only_our_error(changes: dict[str, Any]) -> None:
    with suppress(BuildernetError):
        parse_statement({**ENTRY, **changes})


async def test_settings_must_say_what_is_demanded(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="which images"):
        async with verifying(Evidence()):
            pass
    trusting = Evidence(measurements=tmp_path / "m.json", dangerously_trust_hub=True)
    async with verifying(trusting) as verify:
        assert verify is believe_hub
    # A file that is written later: until then nobody is believed.
    late = Evidence(measurements=tmp_path / "m.json")
    async with verifying(late) as verify:
        with pytest.raises(PeerRefusedError, match="cannot read") as caught:
            await verify(listed(ENTRY))
        assert caught.value.reason == "policy"
    (tmp_path / "m.json").write_text("[]")
    with pytest.raises(BuildernetError):
        async with verifying(late):
            pass
