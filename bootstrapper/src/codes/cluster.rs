//! Codes of the cluster: its networks, the node in it, the distribution and its settings.

diagnostics::codes! {
    /// Faults of the distribution's configuration.
    pub(crate) enum ClusterCode {
        AdvertiseAddress = "advertise-address" [Error] "advertiseAddress is not an address of the node",
            "The API server tells the cluster to reach it at this address. A loopback, multicast or zero address \
             leads nowhere, and with one of another family than serviceCidr it does not start. Leave it out: the \
             node's own address is taken.";
        AirGapped = "air-gapped" [Error] "airGapped is false",
            "A standalone node installs K3s or RKE2 from its own disk and downloads nothing, so `airGapped: false` \
             cannot be carried out. Leave it out, or write true.";
        Cidr = "cidr" [Error] "A value is not a network",
            "A network is an address, `/` and the length of its prefix.",
            "clusterCidr: 10.42.0.0/16";
        CidrFamily = "cidr-family" [Error] "The networks of pods and services differ in address family",
            "clusterCidr and serviceCidr have to be IPv4 both, IPv6 both, or dual stack in the same order. \
             Otherwise the cluster does not start. One that is left out has the distribution's own value, which is \
             IPv4 as a rule.",
            "clusterCidr: 10.42.0.0/16,fd00:42::/56\nserviceCidr: 10.43.0.0/16,fd00:43::/112";
        CidrList = "cidr-list" [Error] "A value is not one network, nor one of each address family",
            "A cluster has one network, or one of IPv4 and one of IPv6 with a comma between. Leave out what is too \
             many.",
            "clusterCidr: 10.42.0.0/16,fd00:42::/56";
        CidrOverlap = "cidr-overlap" [Error] "Two networks overlap",
            "Pods, services and the node's own network need different addresses: where two overlap, the node sends \
             what is for one to the other, and the machines there are not reached. Choose networks that have no \
             address in common; one that is left out has the distribution's own value (K3s: 10.42.0.0/16 and \
             10.43.0.0/16).";
        CidrSize = "cidr-size" [Error] "A network is too small or too large",
            "A node needs a network for its own pods, by default a /24 or an IPv6 /64 of clusterCidr, and the DNS \
             is the tenth address of serviceCidr. Kubernetes does not start with a serviceCidr larger than an IPv4 \
             /12 or IPv6 /108, or an IPv6 clusterCidr larger than a /48. Take a prefix length that the message \
             allows.";
        CloudControllerComponent = "cloud-controller-component" [Note] "`cloudController` is listed as a component",
            "K3s has no packaged component of this name, but a switch. The element is read as \
             `disableCloudController: true`. Write it so.",
            "serverConfig:\n  disableCloudController: true";
        CloudControllerConflict = "cloud-controller-conflict" [Error] "The cloud controller is disabled and kept",
            "`disableComponents` has cloudController, and `disableCloudController` is false. Keep the one that is \
             meant.";
        CloudProvider = "cloud-provider" [Error] "The kubelet has no cloud provider of this name",
            "The kubelet has had no built-in cloud providers since Kubernetes 1.31 and would not start. Write \
             `external` and bring a cloud controller, or leave it out.";
        ClusterDns = "cluster-dns" [Error] "clusterDNS is not an address that the cluster's DNS can have",
            "The DNS is a service, so its address has to be inside serviceCidr, and not the network's own, its \
             first or its last address. Otherwise no pod resolves names. Leave it out: the tenth address of \
             serviceCidr is taken.";
        ComponentName = "component-name" [Error] "A value is not the name of a component",
            "It is empty or has a space or line break. Write one component per list element.",
            "disableComponents:\n- traefik\n- servicelb";
        DomainName = "domain-name" [Error] "A value is not a DNS domain in lower case",
            "Kubernetes takes lower-case letters, digits, `-` and `.` only. Correct it, or leave it out for \
             cluster.local.";
        InstallScriptPath = "install-script-path" [Error] "The install script is at another place",
            "The OS image has the install script of K3s at /opt/install.sh, and nothing else is run. Leave \
             airGappedInstallScriptPath out.";
        IpAddress = "ip-address" [Error] "A value is not an IP address",
            "An IPv4 or IPv6 address is wanted, without prefix length, port or name.",
            "advertiseAddress: 192.168.1.24";
        K3sFile = "k3s-file" [Error] "The distribution cannot read one of its files",
            "K3s and RKE2 read this file at start and do not start when it is not YAML or no mapping. Correct the \
             line that is named, in the file's content. A file of comments alone is fine.",
            "kubelet-arg+:\n- max-pods=200";
        K3sConflict = "k3s-conflict" [Error] "Settings of K3s do not go together",
            "K3s ends with a message at every start: a setting is given with another one that excludes it, without one \
             that it needs, or on a node that is to keep running. The message says which. Leave the setting out, or give \
             what it needs.";
        K3sSetting = "k3s-setting" [Warning] "K3s or RKE2 does not know a setting",
            "They ignore keys of their files that they do not know, so what is meant would silently not be set. The \
             settings are the options of `k3s server` or `rke2 server` without `--`. Correct the name.",
            "# wrong\nnode_label: [a=b]\n# right\nnode-label+: [a=b]";
        K3sSettingReplaced = "k3s-setting-replaced" [Note] "A drop-in replaces what the config-file's keys give",
            "A plain key in a drop-in takes the place of the value, or of the whole list, that is made of the \
             config-file's own keys. Write `key+` to append to a list, or use the config-file's key alone.";
        K3sSettingTwice = "k3s-setting-twice" [Warning] "A drop-in gives a setting a second time",
            "K3s takes the last value of a key, and what the same file gave before is lost without a word. Keep one; to \
             append to a list, write `key+`.",
            "# wrong\nnode-label: [a=b]\nnode-label: [c=d]\n# right\nnode-label+: [a=b, c=d]";
        K3sValue = "k3s-value" [Error] "A setting in a drop-in has a value that K3s does not take",
            "The setting is a switch, a number, a time or one of a few words, and K3s would not start with this \
             value. Correct it in the file's content.";
        K3sValueChanged = "k3s-value-changed" [Error] "K3s reads a value otherwise than it is written",
            "K3s reads its files as YAML 1.1 without types: without quotes 0644 becomes 420, a token of digits a \
             number, `on` the word true, and a mapping Go's print of one. Nothing would be reported on the node. \
             Put the value in quotes; write a mapping as a list of strings.",
            "# wrong\nwrite-kubeconfig-mode: 0644\n# right\nwrite-kubeconfig-mode: \"0644\"";
        K3sValueIgnored = "k3s-value-ignored" [Warning] "K3s starts with a value and does nothing for it",
            "K3s says in its log at most that it cannot read the value. A mode that is not octal leaves the kubeconfig for \
             root alone; with a time table that cron does not read no snapshot of etcd is taken. Correct the value.";
        K3sVersion = "k3s-version" [Error] "A value is not a version of K3s",
            "A release such as v1.33.5+k3s1 is wanted. The OS image fixes the version, so `version` is best left \
             out.";
        K3sVersionDiffers = "k3s-version-differs" [Error] "The OS image has another version of K3s",
            "The node gets the K3s that is in its OS image; `version` cannot change it. Leave `version` out, or \
             write the one that the message names. For another version take another OS image.";
        MaxPods = "max-pods" [Warning] "max-pods is larger than the node's pod network",
            "The node's part of clusterCidr, a /24 by default, has fewer addresses than pods are allowed. Those \
             that are too many wait for an address without end. Write a smaller max-pods, or give the controller \
             manager a shorter node-cidr-mask-size.";
        NoCloudController = "no-cloud-controller" [Error] "An external cloud provider has no cloud controller",
            "With `external` the kubelet taints the node until a cloud controller has seen it, and here none is \
             left: no pod would be scheduled. Leave the cloud provider out, bring a cloud controller under `files`, \
             or do not disable the distribution's own.";
        NoCni = "no-cni" [Warning] "flannel is off and nothing takes its place",
            "With `flannel-backend: none` no pod gets an address, and the node does not get ready, until another \
             CNI plugin is there. Give its manifests under `files` below server/manifests; its images have to be on \
             the node.";
        NodeFamily = "node-family" [Warning] "The node has no address of a family that the cluster has",
            "clusterCidr has an address family of which `network` gives the node no address, and the distribution \
             does not start without one. Add an address of that family, unless the router gives the node one.";
        NodeFamilyDefault = "node-family-default" [Note] "The cluster's networks follow the node's IPv6 addresses",
            "The static addresses are IPv6 alone and no clusterCidr is given, so the distribution takes the IPv6 \
             networks that the note names. Give clusterCidr and serviceCidr for others.";
        NodeLabel = "node-label" [Error] "A value is not a label that a node can have",
            "A label is key=value by Kubernetes' rules for both. The kubelet may not set most labels of \
             kubernetes.io and k8s.io and would refuse to start with one. Use a prefix of your own.",
            "nodeLabels:\n- site.example.com/zone=plant-7";
        NodeName = "node-name" [Error] "A node's name is not valid or too long",
            "Kubernetes takes letters, digits, `-` and `.`, and the kubelet labels the node with its name, so it \
             ends at 63 characters; at 54 with with-node-id. Choose a shorter host name, or give another name as \
             nodeName.";
        NodeNameCase = "node-name-case" [Note] "The node's name has capitals, which are lowered",
            "Node names are lower case; the distribution lowers what it is given. Look for the node by the name in \
             the note, and write it so.";
        NodeTaint = "node-taint" [Error] "A value is not a taint",
            "A taint is key=value:Effect or key:Effect; the effects are NoSchedule, PreferNoSchedule and NoExecute, \
             written so.",
            "nodeTaints:\n- dedicated=vision:NoSchedule";
        NodeTaintTwice = "node-taint-twice" [Error] "Two taints have the same key and effect",
            "The kubelet does not start with two taints of one key and effect, whatever their values. Keep one of them.",
            "# wrong\nnodeTaints: [a=b:NoSchedule, a=c:NoSchedule]\n# right\nnodeTaints: [a=b:NoSchedule]";
        OtherDistribution = "other-distribution" [Error] "The OS image has no RKE2",
            "The template is of RKE2, and the OS image of this node has K3s. RKE2 templates can be validated and \
             converted only. Write a KThreesControlPlaneTemplate.";
        Port = "port" [Error] "A value is not a port",
            "A whole number from 1 to 65535 is wanted, without sign or leading zeros.";
        PortRange = "port-range" [Error] "A value is not a range of ports",
            "Write the first and the last port with `-` between, the smaller one first.",
            "serviceNodePortRange: 30000-32767";
        PortTaken = "port-taken" [Error] "The API's port belongs to another part of the node",
            "K3s listens on httpsListenPort, and the API server inside the node on the next one. Another part of \
             the node has one of the two, so one of them would not start. Leave it out for 6443, or choose two free \
             ports.";
        Rke2Version = "rke2-version" [Error] "A value is not a version of RKE2",
            "Write a release as RKE2 names it.",
            "version: v1.33.1+rke2r1";
        Sha256 = "sha256" [Error] "A value is not a SHA-256 checksum",
            "Write the 64 hexadecimal digits in lower case that `sha256sum` prints.";
        SubjectAltName = "subject-alt-name" [Error] "A value is neither a name nor an address for the API server's certificate",
            "A host name or an IP address is wanted, without scheme and port, one per list element.",
            "tlsSan:\n- k3s.example.com\n- 192.168.1.24";
        TaintOnlyNode = "taint-only-node" [Note] "A taint keeps pods off the only node",
            "The cluster has this one node. Pods that do not tolerate the taint run nowhere, and wait. That is \
             right where all pods have a toleration; otherwise leave the taint out.";
        UnknownComponent = "unknown-component" [Warning] "K3s has no packaged component of this name",
            "K3s ignores the name, and what was meant to be left out is installed. The help names the component \
             that was probably meant, or the setting, where K3s has a switch for it.";
    }
}
