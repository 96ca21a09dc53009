# SPDX-License-Identifier: MIT
SUMMARY = "What the simulated TEE of the development image imports beside the services' wheels"
LICENSE = "ISC"

UV_LOCK = "${BUILDERNET_ROOT}/uv.lock"
UV_NAMES = "mfusepy"
inherit python-wheels
