# SPDX-License-Identifier: MIT
SUMMARY = "The services of the node: one package per service, and what they share"
DESCRIPTION = "Code, units and configuration from services/ of this repository, built by hatchling."
HOMEPAGE = "https://buildernet.org"
SECTION = "net"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${BUILDERNET_ROOT}/LICENSE;md5=${BUILDERNET_LICENSE_MD5}"

require include/services.inc
require buildernet-sources.inc

# Nothing is compiled: no compiler, no C library.
INHIBIT_DEFAULT_DEPS = "1"

inherit python_hatchling

do_install:append() {
    rm -rf ${B}/source ${B}/firewall
    install -d ${B}/source
    cp -a ${S}/src ${B}/source/
    install_configuration ${D} production
    # These differ between the variants: buildernet-production and buildernet-development bring them.
    rm ${D}${sysconfdir}/nftables.conf ${D}${sysconfdir}/hostname ${D}${nonarch_libdir}/os-release
    # Copied with the owner that they have in the source tree.
    chown -R root:root ${D}
}

# A service is its command, its Python package, its unit and its configuration.
PACKAGES = "${BUILDERNET_COMMANDS} buildernet-measure buildernet-tools python3-buildernet ${PN}"
python __anonymous() {
    commands = d.getVar("BUILDERNET_COMMANDS").split()
    for command in commands:
        module = command.removeprefix("buildernet-").replace("-", "_")
        d.setVar(f"SUMMARY:{command}", f"The node's service {command}")
        d.appendVar(f"FILES:{command}", " ${bindir}/%s ${PYTHON_SITEPACKAGES_DIR}/buildernet/%s "
                    "${systemd_system_unitdir}/%s.service ${sysconfdir}/buildernet/%s.toml"
                    % (command, module, command, command))
        d.appendVar(f"RDEPENDS:{command}", " buildernet-accounts python3-buildernet")
}
# Units that no command is named after.
FILES:buildernet-node = "${@' '.join('${systemd_system_unitdir}/' + unit for unit in other_units(d))}"

def other_units(d):
    own = {f"{command}.service" for command in d.getVar("BUILDERNET_COMMANDS").split()}
    return [unit for unit in d.getVar("BUILDERNET_UNITS").split() if unit not in own]

# Evidence on Azure comes from a TPM.
RDEPENDS:attested-proxy = "python3-tpm2-pytss"

SUMMARY:buildernet-measure = "Predicts the measurements of an image; for the build and for third parties"
FILES:buildernet-measure = "${bindir}/buildernet-measure ${PYTHON_SITEPACKAGES_DIR}/buildernet/measure"
RDEPENDS:buildernet-measure = "python3-buildernet"

SUMMARY:buildernet-tools = "Commands that talk to a node from outside, and the services that run outside"
FILES:buildernet-tools = "\
    ${bindir} \
    ${PYTHON_SITEPACKAGES_DIR}/buildernet/archive \
    ${PYTHON_SITEPACKAGES_DIR}/buildernet/attested_verify \
    ${PYTHON_SITEPACKAGES_DIR}/buildernet/builder_hub \
"
RDEPENDS:buildernet-tools = "python3-buildernet"

SUMMARY:python3-buildernet = "What the services share, and the libraries they import"
FILES:python3-buildernet = "${PYTHON_SITEPACKAGES_DIR}"
RDEPENDS:python3-buildernet = "${@project_packages(d)} ${PYTHON_STANDARD_LIBRARY}"

def project_packages(d):
    """What services/pyproject.toml depends on, by the names of packages."""
    import re, tomllib
    path = os.path.join(d.getVar("BUILDERNET_ROOT"), "services/pyproject.toml")
    bb.parse.mark_dependency(d, path)
    with open(path, "rb") as file:
        asked = tomllib.load(file)["project"]["dependencies"]
    return " ".join("python3-" + re.match(r"[\w-]+", text)[0] for text in asked)

# Parts of Python's standard library that services/src imports (tested).
PYTHON_STANDARD_LIBRARY = " \
    python3-asyncio \
    python3-core \
    python3-crypt \
    python3-datetime \
    python3-difflib \
    python3-fcntl \
    python3-io \
    python3-json \
    python3-logging \
    python3-math \
    python3-mmap \
    python3-netclient \
    python3-numbers \
    python3-resource \
    python3-threading \
    python3-tomllib \
"

# The rest: the firewall's program, settings of the system, the preset that says what starts.
FILES:${PN} = "${sysconfdir} ${nonarch_libdir}"
RDEPENDS:${PN} = "${@haproxy(d)} ${BUILDERNET_COMMANDS} nftables"

def haproxy(d):
    return "haproxy" if "haproxy.service" in d.getVar("BUILDERNET_UNITS").split() else ""
