# SPDX-License-Identifier: MIT
# The root is compressed with zstd (EROFS_OPTIONS of buildernet-verity.bbclass). Not by PACKAGECONFIG: a new
# flag would change the recipe for every distribution, which yocto-check-layer refuses.

DEPENDS:append:buildernet = " zstd"
EXTRA_OECONF:append:buildernet = " --with-libzstd"
