# SPDX-License-Identifier: MIT
"""Which events a boot has, in which order and where; digests of events built from small images.

That real boots agree is shown in tests/interop/test_boot_logs.py.
"""

import hashlib

import pytest

from buildernet.attestation.registers import Bank, Register
from buildernet.measure.disk import open_medium
from buildernet.measure.errors import DiskError
from buildernet.measure.events import BootPath, ExpectedEvent
from buildernet.measure.mrtd import compute_mrtd
from buildernet.measure.pcr09 import build_extra_cpio
from buildernet.measure.pe import compute_authenticode, parse_pe
from buildernet.measure.prediction import Prediction, predict
from tests.support.pe_images import CMDLINE, make_kernel, make_uki
from tests.support.predictions import FIRMWARE, make_prediction

INITRD = b"an initrd of 27 odd bytes.."


def in_register(prediction: Prediction, register: Register) -> list[ExpectedEvent]:
    return [
        event
        for event in prediction.events
        if event.variant is None and event.digest_for(register, Bank.SHA384) is not None
    ]


def labels(prediction: Prediction, register: Register) -> list[str]:
    return [event.label for event in in_register(prediction, register)]


ACTION = "Calling EFI Application from Boot Option"
IMAGE = "EV_EFI_BOOT_SERVICES_APPLICATION"
EXIT = ["Exit Boot Services Invocation", "Exit Boot Services Returned with Success"]


def test_disk_boot_order() -> None:
    prediction = make_prediction(boot=BootPath.GPT)
    expected = [ACTION, "EV_SEPARATOR", "EV_EFI_GPT_EVENT", IMAGE, IMAGE, *EXIT]
    assert labels(prediction, Register.RTMR1) == expected
    assert labels(prediction, Register.PCR4) == [ACTION, "EV_SEPARATOR", IMAGE, IMAGE]
    assert labels(prediction, Register.PCR5) == ["EV_SEPARATOR", "EV_EFI_GPT_EVENT", *EXIT]


def test_direct_boot_loads_the_image_first_and_has_no_partition_table() -> None:
    prediction = make_prediction(boot=BootPath.DIRECT)
    assert labels(prediction, Register.RTMR1) == [IMAGE, ACTION, "EV_SEPARATOR", IMAGE, *EXIT]
    assert labels(prediction, Register.PCR5) == ["EV_SEPARATOR", *EXIT]


def test_disk_boot_needs_a_disk() -> None:
    firmware = memoryview(FIRMWARE)
    with pytest.raises(DiskError, match="partition table"):
        predict(
            open_medium(memoryview(make_uki())),
            boot=BootPath.GPT,
            firmware=firmware,
            facts=None,
            mrtd=compute_mrtd(firmware),
        )


def test_stubs_from_258_do_not_load_the_kernel_through_firmware() -> None:
    assert labels(make_prediction(make_uki(stub="259.5")), Register.PCR4).count(IMAGE) == 1


def test_kernel_event_is_the_kernels_own_authenticode() -> None:
    event = in_register(make_prediction(), Register.PCR4)[-1]
    assert event.digests == compute_authenticode(parse_pe(memoryview(make_kernel())))


def test_sections_are_in_rtmr2_from_256_on() -> None:
    for stub, rtmr2 in (("255.1", 2), ("256.1", 12)):
        prediction = make_prediction(make_uki(stub=stub))
        assert len(labels(prediction, Register.RTMR2)) == rtmr2
        assert labels(prediction, Register.PCR11)[::2] == [
            f"section {name}" for name in (".linux", ".osrel", ".cmdline", ".initrd", ".sbat")
        ]


def test_section_events_hash_name_with_nul_then_content() -> None:
    name, content = in_register(make_prediction(make_uki(uname=b"6.12")), Register.PCR11)[8:10]
    assert name.digests.sha256 == hashlib.sha256(b".uname\0").digest()
    assert content.digests.sha256 == hashlib.sha256(b"6.12").digest()


def test_cmdline_event_is_utf16_with_nul() -> None:
    event = in_register(make_prediction(), Register.PCR9)[0]
    text = CMDLINE.encode("utf-16-le") + b"\0\0"
    assert event.digests.sha384 == hashlib.sha384(text).digest()


def initrd_digest(uki: bytes) -> bytes:
    return in_register(make_prediction(uki), Register.PCR9)[1].digests.sha256


def test_initrd_event_of_257_is_padded_and_followed_by_os_release() -> None:
    served = INITRD + b"\0" + build_extra_cpio("os-release", b"ID=x\n")
    assert (
        initrd_digest(make_uki(initrd=INITRD, osrel=b"ID=x\n")) == hashlib.sha256(served).digest()
    )


def test_initrd_event_of_256_is_the_section_as_it_is() -> None:
    plain = hashlib.sha256(INITRD).digest()
    assert initrd_digest(make_uki(initrd=INITRD, stub="256.1")) == plain
    assert initrd_digest(make_uki(initrd=INITRD, osrel=None)) == plain


def test_microcode_comes_before_the_initrd_and_extras_keep_their_order() -> None:
    uki = make_uki(initrd=INITRD, ucode=b"cpu", pcrsig=b"{}", pcrpkey=b"key", osrel=b"ID=x\n")
    served = b"cpu\0" + INITRD + b"\0"
    for name, content in (
        ("tpm2-pcr-signature.json", b"{}"),
        ("tpm2-pcr-public-key.pem", b"key"),
        ("os-release", b"ID=x\n"),
    ):
        served += build_extra_cpio(name, content)
    assert initrd_digest(uki) == hashlib.sha256(served).digest()


def test_extra_cpio_has_the_stubs_quirks() -> None:
    archive = build_extra_cpio("os-release", b"ID=x\n")
    assert len(archive) % 4 == 0
    assert archive.startswith(b"070701000000010000416d")
    assert b"0000000B00000000TRAILER!!!\0" in archive
    assert b"0000000200008124" in archive


def test_exit_retry_is_a_second_legal_value() -> None:
    prediction = make_prediction()
    assert len(prediction.values(Register.RTMR1, Bank.SHA384)) == 2
    assert len(prediction.values(Register.PCR5, Bank.SHA256)) == 2
    assert len(prediction.values(Register.PCR4, Bank.SHA256)) == 1


def test_rtmr0_and_pcr1_are_never_promised() -> None:
    promised = make_prediction(boot=BootPath.GPT).promised
    assert not {Register.RTMR0, Register.PCR1, Register.PCR10} & set(promised)


def test_firmware_without_facts_promises_neither_pcr0_nor_pcr7() -> None:
    prediction = make_prediction()
    assert not {Register.PCR0, Register.PCR7} & set(prediction.promised)
    assert all(event.pcr not in (0, 7) for event in prediction.events)


def test_boot_secret_and_automatic_console_are_conditions() -> None:
    bare = make_uki(stub="262.1", cmdline="quiet")
    assert len(make_prediction(bare, boot=BootPath.GPT).conditions) == 2
    assert len(make_prediction(bare).conditions) == 1
    assert make_prediction(make_uki(stub="262.1")).conditions == ()
    assert make_prediction(boot=BootPath.GPT).conditions == ()
