#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# docs/writing-a-policy.rst: what it says is done, as one does who has installed this, and what
# comes of it is what it says.
#
# worlds: smcd
# timeout: 1800

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

# what "make install" makes, into the guest's own root
cp -a "$BUILD"/selftests/installed/. /
unset SMCPOLICY_OBJECT_PATH
# "make bpftool"; without it the distribution's crashes, and the test fails
export PATH=$BUILD/bpftool:$PATH

mkdir "$tmp/empty"
rc=0
(cd "$tmp/empty" && python3 "$TOP/selftests/docs/run_document.py" "$TOP/docs/writing-a-policy.rst") || rc=$?
rmdir "$cgroups/demo" 2> /dev/null || :
exit "$rc"
