# SPDX-License-Identifier: MIT
# Predicts what a boot of the image measures: measurements.json (registers) and events.json (events with
# reasons), by the same command that a third party runs.
# Output in ${B}/measure.

BUILDERNET_FIRMWARE ?= ""
BUILDERNET_FIRMWARE[doc] = "Path of the firmware that the measurements are for"
BUILDERNET_MEASUREMENT_ID ?= "${PN}_${DISTRO_VERSION}"
BUILDERNET_MEASUREMENT_ID[doc] = "Name under which the measurements are published"

addtask measure after do_disk before do_install
do_measure[cleandirs] = "${B}/measure"
do_measure[file-checksums] = "${@measured_by(d)}"
do_measure() {
    ${BUILDERNET_RUN} env PYTHONPATH=${BUILDERNET_ROOT}/services/src PYTHONDONTWRITEBYTECODE=1 \
        python3 -m buildernet.measure image ${B}/disk/disk.raw --firmware ${BUILDERNET_FIRMWARE} \
        --boot gpt --measurement-id ${BUILDERNET_MEASUREMENT_ID} \
        --out-measurements ${B}/measure/measurements.json --out-events ${B}/measure/events.json
}

def measured_by(d):
    """The program and the firmware facts that the prediction follows from."""
    root = d.getVar("BUILDERNET_ROOT")
    folders = ("services/src/buildernet/measure", "services/src/buildernet/attestation",
               "services/src/buildernet/base", "measurements/firmware")
    return " ".join(f"{root}/{folder}:True" for folder in folders)
