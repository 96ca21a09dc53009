# SPDX-License-Identifier: MIT
"""Whom a verifier believes: root certificates, Intel's by default (step B).

A simulated root is accepted by whoever names it here, and by nobody else.
"""

import base64
from dataclasses import dataclass
from typing import Final

from buildernet.attestation.errors import PolicyError

INTEL_SGX_ROOT_CA_SHA256: Final = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"

INTEL_SGX_ROOT_CA: Final = base64.b64decode(
    "MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIwaDEaMBgGA1UEAwwRSW50ZWwg"
    "U0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkG"
    "A1UECAwCQ0ExCzAJBgNVBAYTAlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgGA1UEAwwR"
    "SW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFy"
    "YTELMAkGA1UECAwCQ0ExCzAJBgNVBAYTAlVTMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj/iPW"
    "sCzaEKi71OiOSLRFhWGjbnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxFP2sJBK5zlKOBuzCBuDAfBgNVHSME"
    "GDAWgBQiZQzWWp00ifODtJVSv1AbOScGrDBSBgNVHR8ESzBJMEegRaBDhkFodHRwczovL2NlcnRpZmljYXRlcy50"
    "cnVzdGVkc2VydmljZXMuaW50ZWwuY29tL0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInzg7SV"
    "Ur9QGzknBqwwDgYDVR0PAQH/BAQDAgEGMBIGA1UdEwEB/wQIMAYBAf8CAQEwCgYIKoZIzj0EAwIDSQAwRgIhAOW/"
    "5QkR+S9CiSDcNoowLuPRLsWGf/Yi7GSX94BgwTwgAiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZUGOdRQ7cvqRXaqI="
)
"""Intel SGX Root CA, DER, valid 2018-05-21 to 2049-12-31.

Published by Intel as
https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer;
found identical in every PCK chain of tests' recorded quotes.
"""

MAX_ROOTS: Final = 8
"""More roots than a verifier can know anything about."""


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """Root certificates that may end a chain.

    Raises:
        PolicyError: no root, or more than `MAX_ROOTS`.
    """

    roots: tuple[bytes, ...] = (INTEL_SGX_ROOT_CA,)
    """DER; a chain's root must equal one of them byte for byte."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.roots) <= MAX_ROOTS:
            raise PolicyError(f"{len(self.roots)} trusted roots; 1 to {MAX_ROOTS} make sense")


INTEL: Final = TrustAnchors()
