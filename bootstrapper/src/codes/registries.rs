//! Codes of image registries and of containerd.

diagnostics::codes! {
    /// Faults of what pulls and runs images.
    pub(crate) enum ImageCode {
        ContainerdPlugins = "containerd-plugins" [Error] "A containerd template has plugin names of the wrong version",
            "containerd 2 reads the names of version 3 in config-v3.toml.tmpl and those of version 2 in \
             config.toml.tmpl; names of version 1, or of two versions in one file, are not read, and the runtime \
             would be missing. Runtimes are below the table of the example.",
            "content: |\n  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]";
        ContainerdRegistry = "containerd-registry" [Error] "A containerd template has mirrors beside config_path",
            "K3s' base sets config_path, and containerd's CRI plugin does not load where mirrors, or TLS settings \
             of a registry, stand beside it: no pod would start. Give them under kubernetes.registries.";
        ContainerdRuntime = "containerd-runtime" [Warning] "K3s may add the same runtime itself",
            "K3s adds this runtime where it finds its program in PATH. Its table would then be there twice, and \
             containerd would not start. Leave the runtime out, or give it another name.";
        ContainerdTable = "containerd-table" [Error] "A TOML table occurs twice",
            "TOML allows a table once, and containerd does not start with a second one. The table is in the \
             template twice, or in K3s' base as well. Join the two; settings of the base's tables go to a drop-in \
             below config-v3.toml.d.";
        ContainerdTemplateName = "containerd-template-name" [Note] "The template is written by the name of version 3",
            "The content has plugin names of version 3, and the path is that of a version 2 template. The file is \
             written as config-v3.toml.tmpl. Name it so.";
        ContainerdTemplateTwice = "containerd-template-twice" [Error] "There are two containerd templates",
            "K3s reads config-v3.toml.tmpl and ignores config.toml.tmpl where both are there. Keep one of them.";
        ContainerdToml = "containerd-toml" [Error] "A containerd template is not TOML",
            "What the template adds to K3s' base cannot be read, and containerd would not start. Correct the line \
             that is named: every quote and bracket closes on its line.";
        EscapedQuotes = "escaped-quotes" [Note] "Escaped quotes in a template are unescaped",
            "`{{ template \\\"base\\\" . }}` in a block is no valid template. It is read without the backslashes. \
             Write it so.",
            "content: |\n  {{ template \"base\" . }}";
        Registries = "registries" [Error] "The content of registries.yaml is not what the distribution takes",
            "It ignores unknown keys, so that a mirror would silently not be used, and does not start, or pulls no \
             image, with values of another type. The message names the key. kubernetes.registries makes this file \
             and is checked by key.";
        RegistriesTwice = "registries-twice" [Error] "The registries are given more than once",
            "kubernetes.registries, privateRegistriesConfig of RKE2 and a file registries.yaml all become the same \
             file, and one would replace the other. Keep one of them.";
        RegistryAuth = "registry-auth" [Error] "A registry's credentials are incomplete or contradict each other",
            "One way to log in is wanted: username with password, or auth, or identityToken. Leave out what is too \
             many, or add what is missing.",
            "auth: {username: puller, password: secret}";
        RegistryAuthEncoding = "registry-auth-encoding" [Error] "`auth` is not base64 of user:password",
            "The registry would refuse the log-in, and no image would be pulled. Write the output of: printf %s \
             'user:password' | base64";
        RegistryHost = "registry-host" [Error] "A key is not a registry as image names have it",
            "It is compared with the first part of an image's name: host or host:port, without scheme and path; `*` \
             is every registry. Another text would fit no image.",
            "mirrors:\n  docker.io:\n    endpoints: [https://mirror.example.com:5000]";
        RegistryPrefix = "registry-prefix" [Error] "A value is not a registry for the system images",
            "Write host[:port][/path] without a scheme, the path in lower case and without a `/` at its end.",
            "systemDefaultRegistry: registry.example.com:5000";
        RegistryRewrite = "registry-rewrite" [Error] "A mirror rewrites names and has no endpoint",
            "Names are rewritten for endpoints only, so the rules would have no effect. Add the mirror's URL under \
             `endpoints`.";
        RegistrySecret = "registry-secret" [Error] "A registry's credential is empty or has a control character",
            "No registry takes such a credential. Look whether it was copied whole, or leave it out.";
        RegistryTls = "registry-tls" [Error] "A client certificate lacks its key, or a key its certificate",
            "`certFile` and `keyFile` are used together only. Give both or none; for the registry's own certificate \
             authority `caFile` is enough.";
        RegistryTlsFile = "registry-tls-file" [Warning] "A TLS file of a registry is written by nobody",
            "The path is below /etc or /var and none of the files here. Without the file no image is pulled. Give \
             it under `files` or writeFiles, unless the OS image has it.";
        RegistryUnused = "registry-unused" [Warning] "Credentials are for a host whose endpoint has another port",
            "Credentials and TLS settings are looked up by the endpoint's host and port. This name fits no \
             endpoint, one of the same host has another port, so they would not be used. Name it with that port.";
        RegistryUrl = "registry-url" [Error] "A value is not the URL of a registry",
            "http or https, host, port and path, without a user or spaces; https is taken where there is no scheme. \
             Credentials go under `configs`.",
            "endpoints: [https://mirror.example.com:5000]";
        RewriteGroup = "rewrite-group" [Error] "A replacement names a group that its expression has not",
            "`$1` is what the first parentheses of the expression hold. A group that the expression has not is \
             empty, and another image would be pulled. Put parentheses around what is to be kept.",
            "rewrite:\n  ^rancher/(.*): mirrored/$1";
        RewriteRule = "rewrite-rule" [Error] "A key is not a regular expression",
            "Keys of `rewrite` are regular expressions of Go (RE2) over the repository part of an image's name. \
             Correct it; groups are $1, $2 in the replacement.";
        TemplateField = "template-field" [Warning] "A containerd template takes a field that K3s does not give",
            "K3s fills the file in with Go's text/template, which ends at a field that is not there; K3s then does not \
             start. The fields are those that K3s' own templates take. Correct the name; Go tells upper case from \
             lower.",
            "content: |\n  {{ .NodeConfig.AgentConfig.Snapshotter }}";
        TemplateSyntax = "template-syntax" [Error] "A containerd template is not valid for Go",
            "K3s fills the file in with Go's text/template and crashes when it cannot be parsed: an action is not \
             closed or calls what is not there. Correct it.",
            "content: |\n  {{ template \"base\" . }}";
    }
}
