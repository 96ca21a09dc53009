# SPDX-License-Identifier: MIT
"""Whom a verifier believes about Azure's vTPM attestation keys, unless told otherwise.

Published by Microsoft (https://learn.microsoft.com/azure/virtual-machines/trusted-launch-faq and
http://www.microsoft.com/pkiops/certs/).
"""

import base64
from functools import cache
from typing import Final

from cryptography import x509

AZURE_VIRTUAL_TPM_ROOT_2023: Final = base64.b64decode(
    "MIIFsDCCA5igAwIBAgIQUfQx2iySCIpOKeDZKd5KpzANBgkqhkiG9w0BAQwFADBpMQswCQYDVQQGEwJVUzEeMBwGA1UE"
    "ChMVTWljcm9zb2Z0IENvcnBvcmF0aW9uMTowOAYDVQQDEzFBenVyZSBWaXJ0dWFsIFRQTSBSb290IENlcnRpZmljYXRl"
    "IEF1dGhvcml0eSAyMDIzMB4XDTIzMDYwMTE4MDg1M1oXDTQ4MDYwMTE4MTU0MVowaTELMAkGA1UEBhMCVVMxHjAcBgNV"
    "BAoTFU1pY3Jvc29mdCBDb3Jwb3JhdGlvbjE6MDgGA1UEAxMxQXp1cmUgVmlydHVhbCBUUE0gUm9vdCBDZXJ0aWZpY2F0"
    "ZSBBdXRob3JpdHkgMjAyMzCCAiIwDQYJKoZIhvcNAQEBBQADggIPADCCAgoCggIBALoMMwvdRJ7+bW00adKE1VemNqJS"
    "+268Ure8QcfZXVOsVO22+PL9WRoPnWo0r5dVoomYGbobh4HC72s9sGY6BGRe+Ui2LMwuWnirBtOjaJ34r1ZieNMcVNJT"
    "/dXW5HN/HLlm/gSKlWzqCEx6gFFAQTvyYl/5jYI4Oe05zJ7ojgjK/6ZHXpFysXnyUITJ9qgjn546IJh/G5OMC3mDfFU7"
    "A/GAi+LYaOHSzXj69Lk1vCftNq9DcQHtB7otO0VxFkRLaULcfu/AYHM7FC/Sq6cJb9Au8K/IUhw/5lJSXZawLJwHpcEY"
    "zETm2blad0VHsACaLNucZL5wBi8GEusQ9Wo8W1p1rUCMp89pufxa3Ar9sYZvWeJlvKggWcQVUlhvvIZEnT+fteEvwTdo"
    "ajl5qSvZbDPGCPjb91rSznoiLq8XqgQBBFjnEiTL+ViaZmyZPYUsBvBY3lKXB1l2hggahfBIag4j0wcgqlL82SL7pAdG"
    "jq0Fou6SKgHnkkrV5CNxUBBVMNCwUoj5mvEjd5mF7XPgfM98qNABb2Aqtfl+VuCkU/G1XvFoTqS9AkwbLTGFMS9+jCEU"
    "2rw6wnKuGv1Tx9iuSdNvsXt8stx4fkVeJvnFpJeAIwBZVgKRSTa3w3099k0mW8qGiMnwCI5SfdZ2SJyD4uEmszsnieE6"
    "wAWd1tLLg1jvAgMBAAGjVDBSMA4GA1UdDwEB/wQEAwIBhjAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBRL/iZalMH2"
    "M8ODSCbd8+WwZLKqlTAQBgkrBgEEAYI3FQEEAwIBADANBgkqhkiG9w0BAQwFAAOCAgEALgNAyg8I0ANNO/8I2BhpTOsb"
    "ywN2YSmShAmig5h4sCtaJSM1dRXwA+keY6PCXQEt/PRAQAiHNcOF5zbuOU1Bw/Z5Z7k9okt04eu8CsS2Bpc+POg9js6l"
    "BtmigM5LWJCH1goMD0kJYpzkaCzx1TdD3yjo0xSxgGhabk5Iu1soD3OxhUyIFcxaluhwkiVINt3Jhy7G7VJTlEwkk21A"
    "oOrQxUsJH0f2GXjYShS1r9qLPzLf7ykcOm62jHGmLZVZujBzLIdNk1bljP9VuGW+cISBwzkNeEMMFufcL2xh6s/oiUnX"
    "icFWvG7E6ioPnayYXrHy3Rh68XLnhfpzeCzvbz/I4yMV38qGo/cAY2OJpXUuuD/ZbI5rT+lRBEkDW1kxHP8cpwkRwGop"
    "V8+gX2KSUucIIN4l8/rrNDEX8T0b5U+BUqiO7Z5YnxCya/H0ZIwmQnTlLRTU2fW+OGG+xyIrjMi/0l6/yWPUkIAkNtvS"
    "/yO7USRVLPbtGVk3Qre6HcqacCXzEjINcJhGEVg83Y8nM+Y+a9J0lUnHytMSFZE85h88OseRS2QwqjozUo2j1DowmhSS"
    "Uv9Na5Ae22ycciBkEZSq8a4rSlwqthaELNpeoTLUk6iVoUkK/iLvaMvrkdj9yJY1O/gvlfN2aiNTST/2bd+PA4RBToG9"
    "rXn6vNkUWdbLibU="
)
"""Azure Virtual TPM Root Certificate Authority 2023, DER, valid 2023-06-01 to 2048-06-01; SHA-256
e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95.
"""

MICROSOFT_RSA_DEVICES_ROOT_2021: Final = base64.b64decode(
    "MIIFkjCCA3qgAwIBAgIQGWCAkS2F96VGa+6hm2M3rjANBgkqhkiG9w0BAQwFADBaMQswCQYDVQQGEwJVUzEeMBwGA1UE"
    "ChMVTWljcm9zb2Z0IENvcnBvcmF0aW9uMSswKQYDVQQDEyJNaWNyb3NvZnQgUlNBIERldmljZXMgUm9vdCBDQSAyMDIx"
    "MB4XDTIxMDgyNjIzMzkxOFoXDTQ2MDgyNjIzNDcxNFowWjELMAkGA1UEBhMCVVMxHjAcBgNVBAoTFU1pY3Jvc29mdCBD"
    "b3Jwb3JhdGlvbjErMCkGA1UEAxMiTWljcm9zb2Z0IFJTQSBEZXZpY2VzIFJvb3QgQ0EgMjAyMTCCAiIwDQYJKoZIhvcN"
    "AQEBBQADggIPADCCAgoCggIBALF4kgr3bAptorWmkrM6u47osmLfg67KxZPE4W74Zw5Bu64tjEuzegcB6lFkoXi2V4eL"
    "dIRshk3l14jul6ghCML/6gh4hYiTExky3XMY05wg0d1o+AdhuyvCanXvQZratosnL+KhR2qFeagthciIrCibIIKX91Lv"
    "qRl/Eg8uo82fl30gieB40SunPe/SfMJLb7AYbQ95yHK8G1lTFUHkIfPbAY6SfkOBUpNJ6UAtjlAmIaHYpdcdOayfqXyh"
    "W3+Hf0Ou2wiKYJihCqh3TaI2hqmiv4p4CScug9sDcTyafA6OYLyTe3vx7KrnBOUvkSkTj80GrXSKCWnrw+bE7z0deptP"
    "uLS6+n83ImLsBZ3XYhX4iUPmTRSU9vr7q0cZA8P8zAzLaeN+uK14l92u/7TMhkp5etmLE9DMd9MtnsLZSy18UpW4ZlBX"
    "xt9Zw/RFKStlNbK5ILsI2HdSjgkF0DxZtNnCiEQehMu5DBfCdXo1P90iJhfF1MD+2Kh5xeuDQEC7Dh3gUSXIkOm/72u1"
    "fE52r0uY+aH1TCQGbCrijI9Jf78lFbI7L6Ll3YAa89MrDs2tAQG0SaJdabh4k5orqaJOgaqrrq61RzcMjlZGI3dOdL+f"
    "6romKOccFkm0k+gwjvZ9xaJ5i9SB6Lq/GrA8YxzjmKHHVPmGGdm/v93R0oNGfyvxAgMBAAGjVDBSMA4GA1UdDwEB/wQE"
    "AwIBhjAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBSERIYGAJg/LKqzxYnzrC7J5p0JAzAQBgkrBgEEAYI3FQEEAwIB"
    "ADANBgkqhkiG9w0BAQwFAAOCAgEAd3RAo42nyNbVvj+mxZ03VV+ceU6nCdgIS8RZfZBxf+lqupRzKUV9UW59IRCSeMH3"
    "gHfGSVhmwH1AJHkFIhd5meSShF4lPPmvYMmrbfOrwiUunqz2aix/QkRpgeMOe10wm6dEHHAw/eNi3PWhc+jdGJNV0Sdn"
    "qcwJg/t5db8Y7RCVW+tG3DtEa63UB4sGNlBbaUffdSdYL5TCRXm2mkcCWruu/gmDTgoabFmI4j9ss0shsIxwqVVEq2zk"
    "EH1ypZrHSmVrTRh9hPHWpkOxnh9yqpGDXcSll09ZZUBUhx7YUX6p+BTVWnuuyR4TbXS8P6fUS5Q2WF0WR07BrGYlBqom"
    "sEwMhth1SmBKn6tXfQyWkgr4pVl5XkkC7Bfvpmw90csy8ycwog+x4L9kO1Nr6OPwnJ9V39oMifNDxnvYVBX7EhjoiARP"
    "p+97feNJYwMt4Os/WSeD++IhBB9xVsrI+jZufySQ02C/w1LBFR6zPy+a+v+6WlvMxDBEDWOjJyDQ6kzkWxIG35klzLnw"
    "HybuIsFIIR1QGL1l47eW2dM4hB9oCay6z3FX5xYBIFvAyp8up+KbjfH/NIWfPBXhYMW64DagB9P2cW5LBRz+AzDA+JF/"
    "OdYpb6vxv3lzjLQbU9zMFwSrzEF5o2Aa/n+xZ90Naj78AYaTM18DalA17037fjucDN8="
)
"""Microsoft RSA Devices Root CA 2021, DER, valid 2021-08-26 to 2046-08-26; SHA-256
8c2bb9144d4970c94fb8105cc5d860a58e2e675eb360fdd8c14b30833aaaec1d.
"""


@cache
def azure_roots() -> tuple[x509.Certificate, ...]:
    """Return both roots, parsed once."""
    return tuple(
        x509.load_der_x509_certificate(der)
        for der in (AZURE_VIRTUAL_TPM_ROOT_2023, MICROSOFT_RSA_DEVICES_ROOT_2021)
    )
