# SPDX-License-Identifier: MIT
"""The command verifies offline, explains each step, and ends as a shell expects."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from buildernet.attestation.collateral import encode_bundle
from buildernet.attestation.registers import Bank, Digest, Digest32
from buildernet.attested_verify.cli import main
from tests.support.azure_evidence import (
    FOLDER,
    WITH_ISSUERS,
    WITH_ISSUERS_AT,
    WITH_ISSUERS_COLLATERAL,
    WITHOUT_ISSUERS,
    WITHOUT_ISSUERS_AT,
    WITHOUT_ISSUERS_COLLATERAL,
    recorded_json,
)
from tests.support.minted_chain import (
    MINTED_AT,
    Domain,
    default_tcb_info,
    mint_chain,
    shared_chain,
)
from tests.support.provisioning_service import ProvisioningService
from tests.support.shared_data import shared_file
from tests.support.tpm_quotes import make_attest

CHAIN = shared_chain()
IMAGE = {"attestation_type": "dcap-tdx", "measurement_id": "image-1"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Evidence of a minted platform, collateral of two, measurements, the simulated root."""
    other = mint_chain(fmspc=b"other!")
    bundle = encode_bundle(
        [
            other.collateral(tcb_info=default_tcb_info() | {"fmspc": b"other!".hex()}),
            CHAIN.collateral(),
        ]
    )
    (tmp_path / "quote").write_bytes(CHAIN.quote())
    (tmp_path / "debug").write_bytes(CHAIN.quote(Domain(td_attributes=1)))
    (tmp_path / "collateral").write_text(encode_bundle([CHAIN.collateral()]))
    (tmp_path / "bundle").write_text(bundle)
    (tmp_path / "root.der").write_bytes(CHAIN.root.der)
    (tmp_path / "root.pem").write_bytes(CHAIN.root.pem)
    (tmp_path / "authority.pem").write_bytes(CHAIN.authority.pem)
    for name, value in (("good", "21"), ("bad", "99")):
        record = IMAGE | {"measurements": {"rtmr1": {"expected": value * 48}}}
        (tmp_path / name).write_text(json.dumps([record]))
    return tmp_path


def run(files: Path, *arguments: str) -> int:
    named = [str(files / part) if (files / part).exists() else part for part in arguments]
    return main([*named, "--at", str(MINTED_AT)])


QUOTE = ("--quote", "quote", "--collateral", "collateral", "--root", "root.der")


def test_verified_quote_is_explained(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytes(range(64)).hex()
    assert run(files, *QUOTE, "--measurements", "good", "--report-data", data) == 0
    said = capsys.readouterr()
    for step in "ABCDEFGHIJKL":
        assert f"\n{step}     ok  " in f"\n{said.out}"
    assert f"rtmr1 {'21' * 48}\n" in said.out
    assert said.out.endswith("verified: tdx-quote, UpToDate, measurements of image-1\n")
    assert "not Intel's" in said.err


def test_verified_quote_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, *QUOTE[:4], "--root", "root.pem", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["verified"], document["kind"]) == (True, "tdx-quote")
    assert document["tdx"]["tcb_status"] == "UpToDate"
    assert document["measurement_id"] is None
    assert [step["step"] for step in document["steps"]] == list("ABCDEFGHIJKL")


def test_bundle_gives_the_collateral_of_the_platform(files: Path) -> None:
    arguments = [name if name != "collateral" else "bundle" for name in QUOTE]
    assert run(files, *arguments) == 0


def test_mismatch_names_register_and_values(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files, *QUOTE, "--measurements", "bad") == 1
    said = capsys.readouterr()
    line = f"step L: register rtmr1: expected {'99' * 48}, got {'21' * 48}\n"
    assert f"attested-verify: error: {line}" in said.err
    assert "K     ok" in said.out
    assert "L     REFUSED  register rtmr1" in said.out


def test_refusal_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, *QUOTE, "--measurements", "bad", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["verified"], document["step"]) == (False, "L")
    assert (document["expected"], document["actual"]) == ("99" * 48, "21" * 48)
    assert len(document["steps"]) == 11


def test_simulated_root_is_not_trusted_unless_named(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files, *QUOTE[:4]) == 1
    assert "step B: root certificate" in capsys.readouterr().err


def test_status_can_be_allowed_but_not_revoked(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files, *QUOTE, "--allow-status", "OutOfDate") == 1
    assert run(files, *QUOTE, "--allow-status", "OutOfDate", "--allow-status", "UpToDate") == 0
    with pytest.raises(SystemExit) as caught:
        run(files, *QUOTE, "--allow-status", "Revoked")
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "'OutOfDate', 'OutOfDateConfigurationNeeded'" in said
    assert "TCBStatus" not in said


async def test_collateral_is_fetched_and_kept(files: Path) -> None:
    service = ProvisioningService(CHAIN.collateral())

    async def answer(request: web.Request) -> web.Response:
        body, headers = await service(str(request.rel_url), limit=1 << 20)
        return web.Response(body=body, headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url(""))
    arguments = [*QUOTE[:2], "--root", "root.der", "--fetch-collateral", str(files / "kept")]
    assert await asyncio.to_thread(run, files, *arguments, "--pccs-url", url) == 0
    await server.close()
    assert run(files, *QUOTE[:2], *QUOTE[4:], "--collateral", "kept") == 0
    assert await asyncio.to_thread(run, files, *arguments, "--pccs-url", url) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--quote", "debug", *QUOTE[2:]), 1),
        (("--quote", "/nowhere", *QUOTE[2:]), 2),
        (("--quote", "root.der", *QUOTE[2:]), 2),
        (QUOTE[:2], 2),
        ((*QUOTE[:2], "--collateral", "quote"), 1),
        ((*QUOTE[:4], "--root", "quote"), 2),
        ((*QUOTE[:4], "--root", "authority.pem"), 2),
        ((*QUOTE, "--report-data", "xx"), 2),
        ((*QUOTE, "--report-data", ""), 2),
        ((*QUOTE, "--report-data", "00" * 65), 2),
        ((*QUOTE, "--report-data", "00"), 1),
        ((*QUOTE, "--measurements", "collateral"), 2),
        ((*QUOTE, "--measurements", "http://example.com/m.json"), 1),
        (("--azure", "quote", "--collateral", "collateral", "--report-data", "00"), 2),
        (("--azure", "quote", "--collateral", "collateral"), 2),
        (("--tpm-quote", "quote"), 2),
    ],
)
def test_exit_codes(
    files: Path, arguments: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files, *arguments) == code
    said = capsys.readouterr().err
    assert "attested-verify: error: " in said
    assert "Traceback" not in said


def test_recorded_azure_evidence(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "azure").write_bytes(recorded_json(WITH_ISSUERS))
    collateral = shared_file(f"{FOLDER}/{WITH_ISSUERS_COLLATERAL}")
    arguments = [
        "--azure", str(files / "azure"), "--collateral", str(collateral),
        "--report-data", "00" * 64, "--json", "--at", str(WITH_ISSUERS_AT),
    ]  # fmt: skip
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "azure"
    assert len(document["registers"]) == 24
    assert main([*arguments[:-4], "01" * 64, *arguments[-3:]]) == 1


def test_azure_evidence_without_issuers_is_refused(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "azure").write_bytes(recorded_json(WITHOUT_ISSUERS))
    collateral = shared_file(f"{FOLDER}/{WITHOUT_ISSUERS_COLLATERAL}")
    arguments = [
        "--azure", str(files / "azure"), "--collateral", str(collateral),
        "--report-data", "00", "--at", str(WITHOUT_ISSUERS_AT),
    ]  # fmt: skip
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "step T6: attestation key certificate" in said.err
    lines = said.out.splitlines()
    steps = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert steps == [*"ABCDEFGHIJKL", "Z1", "Z2", "Z3", "Z4", "T1", "T2", "T3", "T4", "T5", "T6"]
    assert [line for line in lines if "REFUSED" in line] == [
        "T6    REFUSED  attestation key certificate does not lead to a trusted root"
    ]
    root = files / "authority.pem"
    assert main([*arguments, "--ak-root", str(root), "--ak-issuers", str(root)]) == 1
    assert f"note: trusting the roots of {root}, not Azure's" in capsys.readouterr().err
    assert main([*arguments, "--ak-issuers", str(files / "root.der")]) == 2


def test_steps_before_a_refused_binding_are_shown(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "azure").write_bytes(recorded_json(WITHOUT_ISSUERS))
    collateral = shared_file(f"{FOLDER}/{WITHOUT_ISSUERS_COLLATERAL}")
    arguments = [
        "--azure", str(files / "azure"), "--collateral", str(collateral), "--json",
        "--report-data", "01", "--at", str(WITHOUT_ISSUERS_AT),
    ]  # fmt: skip
    assert main(arguments) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["step"] == "Z4"
    assert [record["step"] for record in document["steps"]][-4:] == ["L", "Z1", "Z2", "Z3"]


def tpm_files(folder: Path) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    pcrs: dict[Bank, dict[int, Digest]] = {
        Bank.SHA256: {number: Digest32(bytes([number]) * 32) for number in (4, 9, 11)}
    }
    message = make_attest(pcrs, b"nonce")
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    signature = bytes.fromhex("0018000b") + b"".join(
        b"\0\x20" + number.to_bytes(32, "big") for number in (r, s)
    )
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    values = {str(n): (bytes([n]) * 32).hex() for n in range(16)}
    contents: dict[str, Any] = {
        "msg": message,
        "sig": signature,
        "ak": pem,
        "pcrs": json.dumps({"pcrs": {"sha256": values, "sha384": {}}}).encode(),
        "policy": json.dumps(
            [
                {
                    "attestation_type": "azure-tdx",
                    "measurements": {"4": {"expected": "04" * 32}, "9": "09" * 32},
                }
            ]
        ).encode(),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return {name: str(folder / name) for name in contents}


def test_tpm_quote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = tpm_files(tmp_path)
    arguments = [
        "--tpm-quote", paths["msg"], "--tpm-signature", paths["sig"], "--ak", paths["ak"],
        "--pcrs", paths["pcrs"], "--measurements", paths["policy"], "--nonce",
    ]  # fmt: skip
    assert main([*arguments, b"nonce".hex(), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["tdx"] is None
    assert set(document["registers"]) == {"pcr4", "pcr9", "pcr11"}
    assert main([*arguments, b"other".hex()]) == 1
    said = capsys.readouterr()
    assert "step T3: nonce" in said.err
    assert [line[:8] for line in said.out.splitlines() if line[0] == "T"] == [
        *("T1    ok", "T2    ok", "T3    RE"),
    ]
    (tmp_path / "policy").write_text(
        json.dumps(
            [{"attestation_type": "azure-tdx", "measurements": {"4": {"expected": "05" * 32}}}]
        )
    )
    assert main([*arguments, b"nonce".hex(), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["step"] == "L"
    assert [record["step"] for record in document["steps"]] == [
        *("T1", "T2", "T3", "T4", "T5", "T6-T9"),
    ]
    (tmp_path / "pcrs").write_text('{"pcrs": {"sha256": {"24": "00"}}}')
    assert main([*arguments, b"nonce".hex()]) == 2
