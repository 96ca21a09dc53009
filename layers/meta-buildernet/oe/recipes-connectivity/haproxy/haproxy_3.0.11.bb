# SPDX-License-Identifier: MIT
SUMMARY = "Ends TLS, limits and routes what users and peers send"
DESCRIPTION = "Proxy for HTTP and TCP: it answers everybody, so that the services behind it talk to one client only."
HOMEPAGE = "https://www.haproxy.org"
SECTION = "net"
LICENSE = "GPL-2.0-or-later & LGPL-2.1-or-later"
LIC_FILES_CHKSUM = " \
    file://LICENSE;md5=2d862e836f92129cdc0ecccc54eed5e0 \
    file://doc/gpl.txt;md5=892f569a555ba9c07a568a7c0c4fa63a \
    file://doc/lgpl.txt;md5=fbc093901857fcd118f065f900982c24 \
"

DEPENDS = "libpcre2 libxcrypt openssl zlib"

# The sources of Debian's package, its patches included, so that both flavours run the same program with
# the same holes mended. HAPROXY_DEBIAN moves with debian/locks/target.lock.json (tested).
DEBIAN_SECURITY = "http://deb.debian.org/debian-security/pool/updates"
HAPROXY_DEBIAN = "1+deb13u5"
SRC_URI = " \
    ${DEBIAN_MIRROR}/main/h/haproxy/haproxy_${PV}.orig.tar.gz;name=source \
    ${DEBIAN_SECURITY}/main/h/haproxy/haproxy_${PV}-${HAPROXY_DEBIAN}.debian.tar.xz;name=debian;subdir=${BP} \
"
SRC_URI[source.sha256sum] = "a133e2d550c5fd9a849b5c7ab17bb945bcdad209ca140d41f45ebf31943ae783"
SRC_URI[debian.sha256sum] = "4813ae213ac03eeff59aa2bf585fb63b906a9d263a5e0bb8bd386a63d31c8e60"

inherit pkgconfig

# What the configuration of the node uses: metrics, but neither Lua nor QUIC nor device detection.
EXTRA_OEMAKE = " \
    CC='${CC}' \
    LD='${CC}' \
    ARCH_FLAGS= \
    CFLAGS='${CFLAGS}' \
    IGNOREGIT=true \
    LDFLAGS='${LDFLAGS}' \
    OPT_CFLAGS= \
    PREFIX=${prefix} \
    SBINDIR=${sbindir} \
    TARGET=linux-glibc \
    USE_GETADDRINFO=1 \
    USE_OPENSSL=1 \
    USE_PCRE2=1 \
    USE_PCRE2_JIT=1 \
    USE_PROMEX=1 \
    USE_ZLIB=1 \
    VERSION=${PV}-${HAPROXY_DEBIAN} \
    VERDATE=2026/01/01 \
    SUBVERS= \
"

do_patch[postfuncs] += "patch_as_debian"
patch_as_debian() {
    cd ${S}
    for name in $(sed /^#/d debian/patches/series); do
        patch -p1 --quiet --no-backup-if-mismatch < debian/patches/$name
    done
}

do_compile() {
    oe_runmake haproxy
}

do_install() {
    install -D -m 0755 ${B}/haproxy ${D}${sbindir}/haproxy
}
