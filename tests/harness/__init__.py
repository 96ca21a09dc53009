# SPDX-License-Identifier: MIT
"""Boots an image in QEMU with OVMF and swtpm and tells what happened.

Imports only the standard library and `buildernet.base`, so it works when the services are broken.
Nothing here sleeps: every wait ends with an event or with a `Deadline`, and the error of a failed
boot names the cause (verity, initrd, panic, early exit of QEMU) and shows the last console lines.
"""
