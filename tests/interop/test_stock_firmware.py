# SPDX-License-Identifier: MIT
"""MRTD and PCR 0 of firmware that Debian ships, against figures found by other means.

The packages are fetched once, by exact version and hash, into build/cache/firmware. A package
that has left the pool and is not cached skips its tests with that reason.
"""

import hashlib
import io
import subprocess
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildernet.attestation.event_log import EV_EFI_PLATFORM_FIRMWARE_BLOB, EV_S_CRTM_VERSION
from buildernet.measure.digests import digests_of
from buildernet.measure.firmware import find_checkout_facts, load_facts
from buildernet.measure.mrtd import compute_mrtd
from tests.support.firmware_volumes import unpack_volumes
from tests.support.shared_data import ROOT

pytestmark = pytest.mark.interop

CACHE = ROOT / "build" / "cache" / "firmware"
POOL = "https://deb.debian.org/debian/pool/main/e/edk2/"
FETCH_SECONDS = 60
MAX_PACKAGE_BYTES = 64 << 20


@dataclass(frozen=True)
class Stock:
    """One firmware of one package; MRTDs as far as specs/image.md section 3.2 prints them.

    Two of its figures are misprinted and stand here as computed, the other half of each agreeing:
    Debian 12 two-pass starts acccbcc8 (not accccbcc), sid two-pass ends 7a279b9a9 (not 7d279b9a9).
    """

    package: str
    sha256: str
    member: str
    single: tuple[str, str]
    double: tuple[str, str]


STOCK = {
    "debian13": Stock(
        "ovmf_2025.02-8+deb13u1_all.deb",
        "78e0d54df11fc77406cb7a0bc9a39e5bca6d1cbe06556b91d9a73491c52decdf",
        "./usr/share/ovmf/OVMF.fd",
        ("bdc6fb14", "f28910e11"),
        ("456f0790", "d097dc0db2"),
    ),
    "debian12": Stock(
        "ovmf_2022.11-6+deb12u2_all.deb",
        "e73d3d1a8799f7f6fc16b73501d913edcdd86237556fbff30693e747e6dc262e",
        "./usr/share/ovmf/OVMF.fd",
        ("4c7206f0", "7fb231c47"),
        ("acccbcc8", "eed443f7e1"),
    ),
    "sid-inteltdx": Stock(
        "ovmf-inteltdx_2026.08+ds-2_all.deb",
        "87123a9bf4dc1af7bbc48257a9b3db5933ff695167476d4fa48b705da1011fb1",
        "./usr/share/ovmf/OVMF.inteltdx.ms.fd",
        ("a7a1f751", "d3183bd08"),
        ("b90b2361", "7a279b9a9"),
    ),
    "sid-generic": Stock(
        "ovmf-generic_2026.08+ds-2_all.deb",
        "05c1593998ba58700ff86c062bde306321af1f5a2943ea9ceef6c2332f3f3374",
        "./usr/share/ovmf/OVMF.fd",
        ("ab742989", ""),
        ("", ""),
    ),
}


def fetch_package(stock: Stock) -> Path:
    path = CACHE / stock.package
    if not path.exists():
        try:
            # The address is https and constant.
            with urllib.request.urlopen(  # noqa: S310
                POOL + stock.package, timeout=FETCH_SECONDS
            ) as answer:
                content = answer.read(MAX_PACKAGE_BYTES)
        except (urllib.error.URLError, TimeoutError) as exc:
            pytest.skip(f"{stock.package} is not cached and cannot be fetched: {exc}")
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == stock.sha256
    return path


def read_firmware(name: str) -> bytes:
    stock = STOCK[name]
    deb = fetch_package(stock)
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(tar.stdout)) as archive:
        member = archive.extractfile(stock.member)
        assert member is not None
        return member.read()


@pytest.mark.parametrize("name", list(STOCK))
def test_mrtd_of_stock_firmware(name: str) -> None:
    mrtd = compute_mrtd(memoryview(read_firmware(name)))
    for value, (start, end) in (
        (mrtd.single_pass.hex(), STOCK[name].single),
        (mrtd.two_pass.hex(), STOCK[name].double),
    ):
        assert value.startswith(start)
        assert value.endswith(end)


@pytest.mark.parametrize(
    ("name", "version", "patch"),
    [
        # A PEI module of this build writes the ACPI timer port (q35: 0x608) into its own image.
        ("debian13", "2025.02-8+deb13u1", (0x6E50, b"\x08\x06")),
        ("sid-generic", "2026.08+ds-2", (0, b"")),
    ],
)
def test_facts_about_pcr_0_follow_from_the_file(
    name: str, version: str, patch: tuple[int, bytes]
) -> None:
    firmware = read_firmware(name)
    facts = load_facts(memoryview(firmware), find_checkout_facts())
    assert facts is not None
    pei, dxe = unpack_volumes(firmware)
    offset, word = patch
    pei = pei[:offset] + word + pei[offset + len(word) :]
    text = version.encode("utf-16-le") + b"\0\0"
    assert [(event.type, event.digests) for event in facts.events if event.pcr == 0] == [
        (EV_S_CRTM_VERSION, digests_of(text)),
        (EV_EFI_PLATFORM_FIRMWARE_BLOB, digests_of(pei)),
        (EV_EFI_PLATFORM_FIRMWARE_BLOB, digests_of(dxe)),
    ]
