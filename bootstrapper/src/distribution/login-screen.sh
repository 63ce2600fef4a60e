#!/bin/sh
# What the login screen of the node's console says: its addresses, how @NAME@ is, how to log in. The unit of @NAME@
# calls this whenever it starts, is ready or has ended.
set -eu

case $1 in
    starts) state="is starting" ;;
    runs) state="is running" ;;
    *) state="has ended (${SERVICE_RESULT:-unknown}); journalctl -u @UNIT@ says why" ;;
esac
mkdir -p /run/issue.d
# agetty puts the addresses in place of \4 and \6.
cat > /run/issue.d/.emts << END
@NAME@ $state.
Address: \\4 \\6
Log in as a user of the config-file, here or by ssh USER@ADDRESS.

END
mv /run/issue.d/.emts /run/issue.d/50-emts.issue
# Those that wait for a name show it at once.
if command -v agetty > /dev/null; then agetty --reload; fi
