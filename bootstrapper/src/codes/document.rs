//! Codes of the document itself: what kind of file it is, its keys, and the types of its values.

diagnostics::codes! {
    /// Faults of form.
    pub(crate) enum DocumentCode {
        ClusterReference = "cluster-reference" [Error] "A key refers to an object in a management cluster",
            "Cluster API would read a Secret or ConfigMap from its management cluster. A standalone node has none, \
             so the value would be missing. The help says what to write instead, mostly a file under `files`.";
        CommentInText = "comment-in-text" [Error] "A comment cuts a string off within its quotes",
            "In a string without quotes around it, ` #` starts a comment: the rest of the line is lost, and a quote \
             is left open. Put the whole string in quotes, or below `|`.",
            "# wrong\n- echo \"a # b\" > /etc/x\n# right\n- 'echo \"a # b\" > /etc/x'";
        ConfigVersion = "config-version" [Error] "The config-file has a format that this program does not read",
            "`version` is the version of the config-file's format, not of K3s or of the site's configuration. This \
             program reads 1.0 only. Write `version: 1.0`.";
        ContentFrom = "content-from" [Error] "A file takes its content from a Secret",
            "`contentFrom` names a Secret, and there is no API server to read it from before the node is installed. \
             Write the string into `content`.";
        Decode = "decode" [Error] "The config-file passed the schema and could not be decoded",
            "This is a fault of cluster-bootstrapper, not of the config-file: its JSON Schema and its types differ. \
             Report it with the message. To go on, leave the key out that the message names.";
        EmptyElement = "empty-element" [Error] "A list element is empty",
            "A `-` stands alone, so the element has no value. Remove the `-`, or give it a value.";
        EmptyElements = "empty-elements" [Note] "A list has empty mappings only",
            "Every element of the list is `{}`, as some tools of Cluster API write lists that nobody filled in. It \
             is read as an empty list. Leave the list out.";
        KeyCase = "key-case" [Note] "A key differs from a known one in upper and lower case",
            "Go's JSON reader, which Cluster API uses, ignores case in keys, so the key is read as the known one. \
             This holds below `kubernetes` only. Write the key as the note says.";
        MisplacedKey = "misplaced-key" [Error] "A key stands in the wrong place",
            "The key is known, but in another mapping: mostly it is indented too deep or too little. Where it \
             stands it would have no effect. Move it to the place that the message names.",
            "# wrong: clusterCidr beside serverConfig\nserverConfig:\nclusterCidr: 10.42.0.0/16\n# \
             right\nserverConfig:\n  clusterCidr: 10.42.0.0/16";
        MissingKey = "missing-key" [Error] "A key is missing or has no value",
            "The mapping cannot be used without this key. Add it with a value. If the keys that belong below it \
             stand in its place, write the key above them and indent them deeper.";
        MixedSpec = "mixed-spec" [Error] "The K3s configuration stands in two places",
            "The template takes the configuration directly under `spec.template.spec` or under `kthreesConfigSpec` \
             there, not in both: it would not be known which one holds. Put all of it in one of the two places.";
        NoEffect = "no-effect" [Note] "A value has no effect on a standalone node",
            "Cluster API alone uses this value. It is accepted, so that a template from there need not be changed, \
             and is otherwise ignored. It can be left out.";
        NoKubernetes = "no-kubernetes" [Note] "The node runs no Kubernetes",
            "There is no `kubernetes` in the config-file. The node gets its users, network, files and commands, and runs what \
             else the OS image has, such as containerd or Docker. For a node with K3s, add the section of the sample.";
        NotAllowed = "not-allowed" [Error] "A value is none of those that its key takes",
            "The key takes one of a few fixed words, and this is another. The help names the word that was probably \
             meant, or all of them.";
        NotSupported = "not-supported" [Error] "A key of Cluster API that a standalone node cannot carry out",
            "The key is known, but nothing on a standalone node does what it asks, so the node would silently lack \
             it. The help names what to use instead.";
        NotUtf8 = "not-utf-8" [Error] "The config-file is not UTF-8 text",
            "A byte at this place is not UTF-8, so the string cannot be read. Save the file in UTF-8; editors on \
             Windows may have saved it in UTF-16 or Latin-1. Look also whether the file was damaged when it was \
             copied.";
        NulCharacter = "nul-character" [Error] "A value has a NUL character",
            "No file name, command line or configuration on Linux can hold a NUL (`\\0` in double quotes): what \
             follows would be cut off. Remove it.";
        NullList = "null-list" [Note] "A list has no value",
            "A key with nothing behind it, whose value is a list, is read as an empty list. Write `[]` to say so, \
             or leave the key out. If elements follow, look at their indentation.";
        OldFormat = "old-format" [Error] "The file has the old raw-text format",
            "The lines are `key=value`, the format before the config-file was YAML, which is no longer read. \
             `cluster-bootstrapper migrate --input OLD --out NEW` makes a config-file of it and reports what was \
             left out or means something else now.";
        SingleFile = "single-file" [Note] "`files` is one file, not a list",
            "A mapping where a list is wanted is read as a list of this one file. Put `- ` before its first key.",
            "files:\n- path: /etc/a\n  content: x";
        UnknownKey = "unknown-key" [Error] "A key is not known",
            "Nobody would read the key, so what it was meant to set would silently be missing. The help names the \
             known key that was probably meant, or those of this mapping. A key of K3s that the template lacks can \
             be set in a drop-in below /etc/rancher/k3s/config.yaml.d.";
        UnknownKind = "unknown-kind" [Error] "The template is of a kind that cannot be converted",
            "`kind` says which distribution the template is for, and only the kinds that the help names are known. \
             Correct it, or use the control plane template, not another object of the same cluster.",
            "kind: KThreesControlPlaneTemplate\napiVersion: controlplane.cluster.x-k8s.io/v1beta2";
        WrongType = "wrong-type" [Error] "A value has another type than its key takes",
            "A list, a mapping, a single value, true or false, or a whole number is wanted, and something else is \
             there. Often a `- ` is missing, or one too many; or a `: ` in a string without quotes makes a mapping \
             of it; or quotes make a string of true. The help says how to write it.",
            "# wrong\nwriteFiles:\n  path: /etc/a\n# right\nwriteFiles:\n- path: /etc/a";
    }
}
