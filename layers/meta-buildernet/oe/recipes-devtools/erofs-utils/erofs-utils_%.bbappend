# SPDX-License-Identifier: MIT
# The root is compressed with zstd (EROFS_OPTIONS of buildernet-verity.bbclass).

PACKAGECONFIG:append:buildernet = " zstd"
PACKAGECONFIG[zstd] = "--with-libzstd,--without-libzstd,zstd"
