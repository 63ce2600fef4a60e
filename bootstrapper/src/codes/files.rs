//! Codes of files and of the first boot's commands.

diagnostics::codes! {
    /// Faults of what is written to the node and run there.
    pub(crate) enum FileCode {
        BashSyntax = "bash-syntax" [Warning] "A command has syntax of bash",
            "Commands are run by /bin/sh, which on Debian is no bash: the command would fail there, or do something \
             else. Write it for the POSIX shell, or call bash.",
            "# wrong\n- '[[ -e /etc/a ]] && touch /etc/b'\n# right\n- '[ -e /etc/a ] && touch /etc/b'";
        CloudConfigList = "cloud-config-list" [Error] "A file of cloud-init would replace the first boot's list",
            "cloud-init does not join lists of its files. `bootcmd`, `write_files` or `runcmd` in a file below \
             /etc/cloud/cloud.cfg.d would take the place of the first boot's, and Kubernetes would not be \
             installed. Use writeFiles and runCommands under operatingSystem, or the template's commands.";
        ConfigurationFile = "configuration-file" [Error, Warning] "A component cannot read its configuration file",
            "An argument of a component names this file, or it is a drop-in of the kubelet. The component reads it at start, \
             as YAML of the kind that the message has, and ends where it is something else. It is a warning where the \
             file lacks its head alone. Correct the file's content.",
            "# wrong\nkind: AuditPolicy\n# right\napiVersion: audit.k8s.io/v1\nkind: Policy";
        ContentEncoding = "content-encoding" [Error] "A file's content does not fit its encoding",
            "`encoding` says base64 or gzip, and the content cannot be decoded so: the file would not be written. \
             Write what `base64 FILE` or `gzip -c FILE | base64` prints, or leave `encoding` out for plain text.";
        ContentSize = "content-size" [Error] "The files are too large",
            "One file, or all together, have more than 32 MiB once unpacked. Make them smaller or fewer; large data \
             belongs in the OS image.";
        DuplicatePath = "duplicate-path" [Error] "Two files have the same path",
            "The later file would replace the earlier one. Keep one of them.";
        EmptyCommand = "empty-command" [Error] "A command is empty",
            "The list element has no string. Remove it, or write the command; below `- |` its lines have to be \
             indented.";
        EndsShell = "ends-shell" [Warning] "A command ends the shell that runs all commands",
            "All commands of the first boot share one shell, which also installs Kubernetes. After `exit` or `exec` \
             nothing that follows is run. Put the command in a subshell, which ends alone.",
            "# wrong\n- exit 0\n# right\n- ( check-something; exit 0 )";
        FileMode = "file-mode" [Error] "A value is not a file's mode",
            "Three or four octal digits are wanted. 420 is 0644 as a decimal number, which programs write that have \
             read 0644 as a number; as octal it would be another mode.",
            "permissions: \"0644\"";
        FileModeLost = "file-mode-lost" [Error] "cloud-init would not keep a file's mode",
            "cloud-init sets no mode where it is 0, which leaves the file readable by all, and loses set-user-ID \
             and set-group-ID bits, because it sets the owner after the mode. Give the file under \
             operatingSystem.writeFiles, where every mode is kept, or another mode.";
        FileOwner = "file-owner" [Error] "A value is not the owner of a file",
            "Write a user, or a user and a group with `:` between.",
            "owner: root:root";
        FileOwnerNumber = "file-owner-number" [Error] "The owner of a file of the template is a number",
            "cloud-init looks the owner up by name, does not find the number and stops at this file: no further \
             file would be written. Write an account's name, or give the file under operatingSystem.writeFiles, \
             where a number may stand.";
        FileOwnerUnknown = "file-owner-unknown" [Warning] "The owner of a file may not exist on the node",
            "The owner is none of `users` and no common account. cloud-init stops at a file whose owner it does not \
             find, and writes no further file. Make sure that the OS image has the account.";
        FileWithoutEffect = "file-without-effect" [Warning] "Nobody reads this file as it is given",
            "The distribution writes the file itself and replaces what is here, or reads another file in its place. \
             The help names the file to write instead.";
        FoldedLines = "folded-lines" [Note] "A line break inside quotes is a space",
            "YAML reads a single line break inside a quoted string as a space, so two lines of a command become \
             one. Write a block, `- |` with the lines below it, if they are meant to be two.";
        GzipText = "gzip-text" [Error] "A file has the encoding gzip without base64",
            "gzip data are binary, and YAML text cannot hold them. Encode them in base64, too: `gzip -c FILE | \
             base64`, and write `encoding: gzip+base64`.";
        HelmChart = "helm-chart" [Warning] "A HelmChart names its repository twice",
            "With `repo` the chart is looked for by its plain name there. `name/chart` is not found, and the chart \
             is not installed. Write the part behind the `/`.",
            "spec:\n  repo: https://charts.example.com\n  chart: nginx";
        ManifestObject = "manifest-object" [Warning] "A manifest is not an object of Kubernetes",
            "An object has `apiVersion`, `kind` and `metadata.name`. The distribution applies files below server/manifests at \
             start and leaves this one out, with a line in its log. Add what the message names.",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: site}";
        ManifestPackaged = "manifest-packaged" [Error] "A manifest has the name of a packaged component",
            "The distribution writes the manifests of its own components at every start, and deletes those of \
             disabled ones, by their file names. This file would be replaced or deleted. Choose another name, such \
             as my-traefik.yaml.";
        ManifestSyntax = "manifest-syntax" [Error] "A manifest is not YAML",
            "The distribution applies files below server/manifests at start and cannot read this one, so its \
             objects would not be there. Correct the line in the file's content.";
        PathBelowFile = "path-below-file" [Error] "A file has another file as its directory",
            "One path is below another, and a file cannot be in a file: the second could not be written. Change one \
             of the paths.";
        PathGenerated = "path-generated" [Error] "A file is one that the installer or the first boot makes",
            "The path is written or removed by the installer or the first boot, or is in the way of one that is. \
             The file would be lost, or the node would not be installed. Use the key of the config-file that the \
             path is made from; settings of K3s go to /etc/rancher/k3s/config.yaml.d/50-site.yaml.";
        PathNotAbsolute = "path-not-absolute" [Error] "A path does not start with `/`",
            "It is not said which directory the path is relative to. Write the whole path.";
        PathNotNormal = "path-not-normal" [Error] "A path is not in its plain form",
            "It has `//`, `.`, `..`, a control character, ends in `/`, or is longer than Linux takes. Such a path \
             could lead elsewhere than it seems. Write the plain path of a file.";
        PathOutside = "path-outside" [Error] "A file is outside /etc and /var",
            "The rest of the node is the read-only OS image, so the file could not be written. Choose a path below \
             /etc or /var; a program of your own can stand below /var/lib.";
        RestartInCommand = "restart-in-command" [Error] "A command restarts the machine or switches it off",
            "A first boot that was not completed starts again at the next boot, up to the same command: the machine \
             would restart for ever. Leave the command out. writeFiles, services and network hold from the first \
             boot on without a restart.";
        ShellSyntax = "shell-syntax" [Error] "The commands are not a complete shell program",
            "All commands of a list are run as one program, a line break after each. A quote, bracket, `if` or \
             here-document that starts in the list does not end in it, so the shell would not run what follows, or \
             run something else than is meant. Close it in the same list.",
            "# wrong\n- if [ -e /etc/a ]; then\n- touch /etc/b\n# right: add\n- fi";
    }
}
