# SPDX-License-Identifier: MIT
SUMMARY = "TPM2 software stack: what tpm2-pytss binds"
DESCRIPTION = "meta-security has this recipe too; here it saves a layer."
HOMEPAGE = "https://github.com/tpm2-software/tpm2-tss"
SECTION = "libs"
LICENSE = "BSD-2-Clause"
LIC_FILES_CHKSUM = "file://LICENSE;md5=500b2e742befc3da00684d8a1d5fd9da"

DEPENDS = "autoconf-archive-native json-c openssl util-linux-libuuid"

# Debian's archive of the tag, the same that the Debian flavour's packages are built from.
SRC_URI = "${DEBIAN_MIRROR}/main/t/tpm2-tss/tpm2-tss_${PV}.orig.tar.gz"
SRC_URI[sha256sum] = "8a389bda64690910e7af7deaf64703a3faed416dc538c9c3e4f893f24893524d"

inherit autotools pkgconfig

# FAPI keeps a database of keys on disk and asks a server about TPMs by curl: nothing here uses it.
EXTRA_OECONF = " \
    --disable-doxygen-doc \
    --disable-fapi \
    --disable-integration \
    --disable-static \
    --disable-unit \
    --with-crypto=ossl \
    --with-udevrulesdir=${nonarch_base_libdir}/udev/rules.d \
"

# What `bootstrap` does before autoconf, without asking git for the version.
do_configure:prepend() {
    echo ${PV} > ${S}/VERSION
    (cd ${S} && sed /git.describe/d bootstrap > ${WORKDIR}/bootstrap && AUTORECONF=: sh ${WORKDIR}/bootstrap || true)
    test -s ${S}/src_vars.mk
}

# Users and folders of FAPI and of daemons are not wanted.
do_install:append() {
    rm -rf ${D}${sysconfdir} ${D}${localstatedir} ${D}${nonarch_libdir}/sysusers.d ${D}${nonarch_libdir}/tmpfiles.d
}

# Loaded by name, as tcti=device.
FILES:${PN} = "${libdir}/*.so.* ${nonarch_base_libdir}/udev"
