# SPDX-License-Identifier: MIT
import pytest

from buildernet.measure.errors import UKIError
from buildernet.measure.stub import StubVersion, find_behaviour, parse_stub_version


def behaviour(major: int):
    return find_behaviour(StubVersion(major, str(major)))


def test_version_is_read_from_the_marker() -> None:
    version = parse_stub_version(b"#### LoaderInfo: systemd-stub 257.13-1~deb13u1 ####\0")
    assert version == StubVersion(257, "257.13-1~deb13u1")


@pytest.mark.parametrize(
    "data", [b"", b"#### LoaderInfo: systemd-boot 257 ####", b"#### LoaderInfo: systemd-stub ####"]
)
def test_other_markers_are_refused(data: bytes) -> None:
    with pytest.raises(UKIError):
        parse_stub_version(data)


def test_older_stubs_are_refused() -> None:
    with pytest.raises(UKIError, match="251"):
        behaviour(251)


def test_table_follows_the_known_changes() -> None:
    assert ".uname" not in behaviour(252).measured_sections
    assert ".sbat" in behaviour(255).measured_sections
    assert not behaviour(255).measures_sections_on_tdx
    assert behaviour(256).measures_sections_on_tdx
    assert behaviour(257).extra_files[-1] == (".osrel", "os-release")
    assert (".osrel", "os-release") not in behaviour(256).extra_files
    assert behaviour(257).loads_kernel_through_firmware
    assert not behaviour(259).loads_kernel_through_firmware
    assert behaviour(262).appends_boot_secret
    assert not behaviour(260).appends_boot_secret


def test_signature_of_pcr_values_is_never_measured() -> None:
    for major in range(252, 263):
        assert ".pcrsig" not in behaviour(major).measured_sections
