# SPDX-License-Identifier: MIT
# The firmware that measurements are published for is one raw file, code and variables together; the
# recipe deploys it for runqemu only, as qcow2.

do_deploy:append:buildernet() {
    install -m 0644 ${WORKDIR}/ovmf/ovmf.fd ${DEPLOYDIR}/ovmf.fd
}
