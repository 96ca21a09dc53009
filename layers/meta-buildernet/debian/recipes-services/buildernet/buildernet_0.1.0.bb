# SPDX-License-Identifier: MIT
SUMMARY = "The services of the node: code, units, configuration, firewall"
LICENSE = "MIT"

require include/services.inc
DEPENDS = "build-root"
RUN_IN_BUILD_ROOT = "run-in-build-root ${COMPONENTS_DIR}/build-root ${WORKDIR} --"

do_install() {
    cp -a ${UNPACKDIR}/. ${B}/source
    cd ${B}/source
    ${RUN_IN_BUILD_ROOT} sh -c 'cd ${B}/source && python3 -m hatchling build -t wheel'
    ${RUN_IN_BUILD_ROOT} sh -c 'python3 -m installer --no-compile-bytecode --destdir ${B}/image --prefix /usr ${B}/source/dist/*.whl'
    install -d ${COMPONENT}/usr/lib/python3 ${COMPONENT}/usr/bin
    mv ${B}/image/usr/local/lib/python3.*/dist-packages ${COMPONENT}/usr/lib/python3/dist-packages
    # measure is for the build and for third parties.
    rm -r ${COMPONENT}/usr/lib/python3/dist-packages/buildernet/measure
    rm ${COMPONENT}/usr/lib/python3/dist-packages/*.dist-info/RECORD
    for command in ${BUILDERNET_COMMANDS}; do
        install -m 0755 ${B}/image/usr/local/bin/$command ${COMPONENT}/usr/bin/
    done
    install_configuration ${COMPONENT} production
    # Where systemd-resolved.service writes; in the Yocto flavour the package of systemd brings it.
    ln -s ../run/systemd/resolve/resolv.conf ${COMPONENT}/etc/resolv.conf
}
