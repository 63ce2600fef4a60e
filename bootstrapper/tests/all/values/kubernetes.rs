//! Names, labels, taints, versions and arguments of Kubernetes, K3s and RKE2.

use super::{carries, name_of, refuses, takes};
use cluster_bootstrapper::k3s::{ComponentName, K3sVersion};
use cluster_bootstrapper::rke2::Rke2Version;
use cluster_bootstrapper::values::{
    ComponentArg, ConfigVersion, DomainName, HostName, NodeLabel, NodeName, NodeTaint,
    RegistryPrefix, SubjectAltName, TextValue,
};

#[test]
fn the_format_has_one_version() {
    takes::<ConfigVersion>(&["1.0", "1"]);
    refuses::<ConfigVersion>("config-version", &["", "1.00", "2.0", "v1"]);
}

#[test]
fn a_k3s_version_has_two_or_three_numbers() {
    takes::<K3sVersion>(&["1.33", "v1.33.5", "v1.33.5+k3s1", "1.33.0-rc.1+k3s2"]);
    refuses::<K3sVersion>(
        "k3s-version",
        &[
            "",
            "v",
            "1",
            "v1.33.5.1",
            "v1.x",
            "v1.33.x",
            "v1.33.5+k3s 1",
            "v1.33.5+k3s/1",
            "latest",
        ],
    );
    let version: K3sVersion = "v1.33.5+k3s1".parse().expect("a version");
    assert!(version.same_as("v1.33.5+k3s1") && version.same_as("1.33.5+k3s1"));
    assert!(!version.same_as("v1.33.5+k3s2") && !version.same_as("v1.33.5"));
}

#[test]
fn an_rke2_version_is_complete() {
    takes::<Rke2Version>(&["v1.33.1+rke2r1"]);
    refuses::<Rke2Version>(
        "rke2-version",
        &[
            "",
            "1.33.1+rke2r1",
            "v1.33+rke2r1",
            "v1.33.1.0+rke2r1",
            "v1.33.x+rke2r1",
            "v1.33.1+rke2rx",
            "v1.33.1+rke2r",
            "v1.33.1+k3s1",
        ],
    );
}

#[test]
fn an_argument_is_a_flag_and_its_value() {
    takes::<ComponentArg>(&["max-pods=250", "--v=2", "v", "a.b_c=", "key+=a b", "key-=a"]);
    refuses::<ComponentArg>(
        "component-arg",
        &[
            "",
            " ",
            "-v=2",
            "---v=2",
            "=a",
            "1a=b",
            "a$b=c",
            "max-pods 250",
            "a=b\nc",
        ],
    );
    for (text, key, value, has_value) in [
        ("max-pods=250", "max-pods", "250", true),
        ("--v=2", "v", "2", true),
        ("a=b=c", "a", "b=c", true),
        ("a=", "a", "", true),
        ("foo", "foo", "true", false),
        ("--foo", "foo", "true", false),
    ] {
        let argument: ComponentArg = text.parse().expect("an argument");
        assert_eq!(argument.key_value(), (key, value), "{text}");
        assert_eq!(argument.has_value(), has_value, "{text}");
    }
}

#[test]
fn a_component_is_a_name_of_any_kind() {
    takes::<ComponentName>(&["traefik", "my-own", "traefik,servicelb", "cloudController"]);
    refuses::<ComponentName>("component-name", &["", "traefik servicelb", "a\nb"]);
}

/// Names that Kubernetes takes as it takes DNS subdomains (RFC 1123).
fn is_a_subdomain<T: TextValue>(code: &str) {
    takes::<T>(&["a", "edge-node-1", "a.b", "7", &name_of(253)]);
    refuses::<T>(
        code,
        &[
            "",
            "A",
            "a.B",
            "a_b",
            "a.",
            "-a",
            "a-",
            "a b",
            "a..b",
            &name_of(254),
        ],
    );
}

#[test]
fn nodes_and_domains_have_dns_names_in_lower_case() {
    is_a_subdomain::<DomainName>("domain-name");
}

#[test]
fn a_node_has_a_name_that_a_label_can_be() {
    carries::<NodeName>(&[("a", "a"), ("Edge-Node-1", "edge-node-1"), ("a.b", "a.b")]);
    takes::<NodeName>(&[&name_of(63)]);
    refuses::<NodeName>("node-name", &["", "-a", "a_b", &name_of(64)]);
}

#[test]
fn a_host_has_a_name_that_linux_takes() {
    takes::<HostName>(&["a", "edge-7", "edge.example.com", "7", &name_of(64)]);
    refuses::<HostName>(
        "host-name",
        &["", "A", "a.B", "a_b", "a.", "-a", "a-", "a b", &name_of(65)],
    );
}

#[test]
fn a_label_has_a_qualified_name_and_a_value() {
    let (long, longer) = ("a".repeat(63), "a".repeat(64));
    takes::<NodeLabel>(&[
        "a=b",
        "a=",
        "A.b_c-d=E.f_g-h",
        "example.com/zone=plant-7",
        "topology.kubernetes.io/zone=a",
        "kubernetes.io/hostname=a",
        "node.kubernetes.io/a=b",
        "x.kubelet.kubernetes.io/a=b",
        &format!("{long}={long}"),
        &format!("{}/{long}=a", name_of(253)),
    ]);
    refuses::<NodeLabel>(
        "node-label",
        &[
            "",
            "a",
            "=a",
            "-a=b",
            "a-=b",
            "a b=c",
            "a=b c",
            "a=-b",
            "a=b-",
            "a=b=c",
            "/a=b",
            "a/=b",
            "a/b/c=d",
            "Example.com/a=b",
            "a_b/c=d",
            "kubernetes.io/a=b",
            "k8s.io/a=b",
            "node-role.kubernetes.io/a=b",
            "x.k8s.io/a=b",
            &format!("{longer}=a"),
            &format!("a={longer}"),
            &format!("{}/a=b", name_of(254)),
        ],
    );
    for (text, key, value) in [("a.b/c=d", "a.b/c", "d"), ("a=", "a", "")] {
        let label: NodeLabel = text.parse().expect("a label");
        assert_eq!(label.key_value(), (key, value));
    }
}

#[test]
fn a_taint_has_an_effect() {
    let (long, longer) = ("a".repeat(63), "a".repeat(64));
    takes::<NodeTaint>(&[
        "a:NoSchedule",
        "a=:PreferNoSchedule",
        "a.b/c=d:NoExecute",
        &format!("{long}={long}:NoExecute"),
    ]);
    refuses::<NodeTaint>(
        "node-taint",
        &[
            "",
            "a",
            "a=b",
            "a=b:",
            "a=b:noexecute",
            ":NoExecute",
            "=a:NoExecute",
            "a=b c:NoExecute",
            "a_b/c:NoExecute",
            &format!("{longer}:NoExecute"),
            &format!("a={longer}:NoExecute"),
        ],
    );
}

#[test]
fn the_registry_of_the_system_images_has_no_scheme() {
    takes::<RegistryPrefix>(&["r.io", "r.io:5000", "r.io/a-b_c.1/d2", "[::1]:5000/a"]);
    refuses::<RegistryPrefix>(
        "registry-prefix",
        &[
            "",
            "https://r.io",
            "r io",
            "r.io:0",
            "r.io/",
            "r.io//a",
            "r.io/A",
            "r.io/a b",
        ],
    );
}

#[test]
fn a_certificate_is_for_hosts_and_addresses() {
    takes::<SubjectAltName>(&["k3s.example.com", "*.example.com", "10.0.0.1", "fd00::1"]);
    refuses::<SubjectAltName>("subject-alt-name", &["", "a b", "*", "a.*", "10.0.0.1/24"]);
}
