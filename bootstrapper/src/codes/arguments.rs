//! Codes of the arguments of Kubernetes' components.

diagnostics::codes! {
    /// Faults of arguments.
    pub(crate) enum ArgumentCode {
        ArgumentFile = "argument-file" [Warning] "An argument names a file that nobody writes",
            "The component does not start without the file, and neither `files`, writeFiles nor a command has its \
             path. Add it to `files`, or make sure that the OS image has it.";
        ArgumentOwn = "argument-own" [Warning] "K3s gives a component this argument itself",
            "K3s makes the argument of a setting that other parts of the node read as well. The component takes the one \
             that is given here, the others keep K3s' own, and they no longer agree: services in another network than K3s \
             announces, a node that is known under two names. Give the setting in its place.",
            "# wrong\nkubeAPIServerArg: [service-cluster-ip-range=10.96.0.0/16]\n# right\nserviceCidr: 10.96.0.0/16";
        ArgumentReplaces = "argument-replaces" [Warning] "A kubelet argument replaces labels or taints",
            "K3s hands nodeLabels and nodeTaints on as the same argument. One that is given directly takes their \
             place, and the node would have none of those. Move the argument's labels or taints to the key.";
        ArgumentTemplate = "argument-template" [Warning] "An argument has a template of cloud-init",
            "Templates such as `{{ ds.meta_data.local_ipv4 }}` are rendered in a cluster that Cluster API manages, \
             not here: the component gets the string as it is. Write the value, or set it by a command in \
             preK3sCommands.";
        ArgumentTwice = "argument-twice" [Warning] "An argument is given again, with another value",
            "The flag takes one value, and the last one holds. The other has no effect. Keep one.",
            "# wrong\n- max-pods=110\n- max-pods=250\n# right\n- max-pods=250";
        ArgumentValue = "argument-value" [Error, Warning] "A component does not take the value of an argument",
            "The value has not the type that the flag has, is outside its bounds, or is none of its words: the \
             component would not start. It is a warning where another version of Kubernetes than the known one may \
             take it. Correct the value.",
            "# wrong\n- max-pods=many\n# right\n- max-pods=110";
        ArgumentWithoutValue = "argument-without-value" [Error] "An argument has no value",
            "An element without `=` gets the value `true`, or keeps K3s from starting; and of the kubelet's \
             arguments K3s drops the one after it. A value on a list element of its own is not taken. Write \
             key=value.",
            "# wrong\n- v\n- \"4\"\n# right\n- v=4";
        ComponentArg = "component-arg" [Error] "A list element is not one argument",
            "K3s puts `--` before each element. It is empty, starts with a single dash, has a space where `=` \
             should be, or has a second argument in it, which the component would not take. Write key=value, one \
             per element.",
            "# wrong\n- max-pods=200 v=2\n# right\n- max-pods=200\n- v=2";
        EvictionGrace = "eviction-grace" [Error] "A soft eviction has no grace period",
            "The kubelet does not start when eviction-soft has a signal that eviction-soft-grace-period has not. \
             Add it.",
            "- eviction-soft=memory.available<500Mi\n- eviction-soft-grace-period=memory.available=1m30s";
        FeatureGate = "feature-gate" [Error, Warning] "A feature gate is not known, or cannot be set so",
            "Kubernetes has no gate of this name, or the value is not true or false, or the gate is fixed to \
             another value: the component would not start. It is a warning where another version of Kubernetes may \
             have it. Correct it, or leave it out.",
            "- feature-gates=InPlacePodVerticalScaling=true";
        ReservedCpu = "reserved-cpu" [Error] "The static CPU policy has no reserved CPUs",
            "With cpu-manager-policy=static the kubelet needs CPUs kept for itself and does not start without. Add \
             reserved-cpus, or an amount of cpu in kube-reserved or system-reserved.",
            "- cpu-manager-policy=static\n- reserved-cpus=0";
        ReservedMemory = "reserved-memory" [Error] "The static memory policy has no reserved memory",
            "With memory-manager-policy=Static the kubelet does not start without reserved-memory. It has to be as \
             much as kube-reserved, system-reserved and eviction-hard have together.",
            "- memory-manager-policy=Static\n- reserved-memory=0:memory=1100Mi";
        TlsName = "tls-name" [Error] "A TLS version or cipher suite is not known",
            "The name is none that Go's TLS has; a space around it counts. Versions are VersionTLS12 and so on, \
             suites have Go's names. Correct it as the help says.",
            "- tls-min-version=VersionTLS12";
        UnknownArgument = "unknown-argument" [Error, Warning] "A component has no such flag",
            "Components of Kubernetes do not start with a flag that they do not know. The name is mistyped, belongs \
             to another component, or was removed in a later version. It is a warning where the node's version is \
             not that of the known flags. Correct it, or leave it out.";
    }
}
