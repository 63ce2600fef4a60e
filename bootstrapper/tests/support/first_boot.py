"""Does what cloud-init does with its configuration at first boot, by cloud-init's own modules, below another root.

Usage: first_boot.py CLOUD_CFG USER_DATA ROOT
CLOUD_CFG has its parts beside it in CLOUD_CFG.d. Merges them with USER_DATA, checks the result against the schema,
writes the files of write_files below ROOT, and prints what the shell scripts of bootcmd and runcmd would be.
"""

import grp
import json
import logging
import os
import pwd
import sys

try:
    import yaml
    from cloudinit import util
    from cloudinit.config import cc_write_files
    from cloudinit.config.schema import SchemaValidationError, validate_cloudconfig_schema
except ImportError as error:
    sys.exit(f"cloud-init is not installed ({error}); run: cargo xtask setup")


SYSTEM_KEYS = ("datasource", "datasource_list", "network", "system_info")


class Collected(logging.Handler):
    """Keeps warnings: cloud-init goes on after most faults."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def main(cloud_cfg, user_data, root):
    collected = Collected()
    logging.getLogger("cloudinit").addHandler(collected)
    base = util.read_conf_with_confd(cloud_cfg)
    with open(user_data, encoding="utf-8") as file:
        own = yaml.safe_load(file)
    merged = util.mergemanydict([own, base])

    # The schema is that of a user's cloud-config. Since Debian 12's, cloud-init refuses what only a system may set.
    checked = {key: value for key, value in merged.items() if key not in SYSTEM_KEYS}
    faults = []
    try:
        validate_cloudconfig_schema(checked, strict=True)
    except SchemaValidationError as error:
        faults.append(str(error))

    me = f"{pwd.getpwuid(os.geteuid()).pw_name}:{grp.getgrgid(os.getegid()).gr_name}"
    files = [dict(file) for file in merged.get("write_files", [])]
    for file in files:
        file["path"] = root + file["path"]
        # Only root may give files away, and the test may have no such user.
        file["owner"] = me
    cc_write_files.write_files("write-files", files, me)

    shell = {key: util.shellify(merged[key]) for key in ("bootcmd", "runcmd") if key in merged}
    json.dump(
        {"merged": merged, "shell": shell, "faults": faults, "warnings": collected.messages},
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
