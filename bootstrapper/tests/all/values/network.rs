//! Addresses, networks, hosts, ports and what is made of them.

use super::{carries, name_of, refuses, takes};
use cluster_bootstrapper::rke2::PortRange;
use cluster_bootstrapper::values::{
    Cidr, CidrList, InterfaceAddress, InterfaceName, IpAddress, IpList, MacAddress, NoProxy,
    NtpServer, Port, ProxyUrl, RegistryHost, RegistrySecret, RegistryUrl, RewriteRule,
};

#[test]
fn a_network_is_an_address_and_a_length() {
    takes::<Cidr>(&["10.42.0.0/16", "10.42.9.9/16", "fd00:42::/56"]);
    refuses::<Cidr>(
        "cidr",
        &["", "10.42.0.0", "10.42.0.0/33", "fd00::/129", "a/8"],
    );
    let cidr: Cidr = "10.42.9.9/16".parse().expect("a network");
    assert_eq!(cidr.network().to_string(), "10.42.0.0/16");
}

#[test]
fn a_cluster_has_a_network_or_one_of_each_family() {
    carries::<CidrList>(&[
        ("10.42.0.0/16", "10.42.0.0/16"),
        ("10.42.0.0/16 , fd00::/56", "10.42.0.0/16,fd00::/56"),
        ("fd00::/56,10.42.0.0/16", "fd00::/56,10.42.0.0/16"),
    ]);
    refuses::<CidrList>(
        "cidr-list",
        &[
            "10.42.0.0/16,10.44.0.0/16",
            "fd00::/56,fd01::/56",
            "10.42.0.0/16,fd00::/56,10.44.0.0/16",
        ],
    );
    refuses::<CidrList>("cidr", &["", "10.42.0.0/16,"]);
    let list: CidrList = "10.42.0.0/16,fd00::/56".parse().expect("networks");
    let networks = list.networks().iter().map(ToString::to_string);
    assert_eq!(networks.collect::<Vec<_>>(), ["10.42.0.0/16", "fd00::/56"]);
}

#[test]
fn an_address_has_no_length() {
    takes::<IpAddress>(&["192.168.1.24", "fd00::1"]);
    refuses::<IpAddress>("ip-address", &["", "192.168.1.24/24", "1.2.3", "host"]);
    let address: IpAddress = "fd00::1".parse().expect("an address");
    assert_eq!(address.address().to_string(), "fd00::1");
    carries::<IpList>(&[("10.0.0.1 , fd00::1", "10.0.0.1,fd00::1"), ("::1", "::1")]);
    refuses::<IpList>("ip-address", &["", "10.0.0.1,", "a"]);
    let list: IpList = "10.0.0.1,fd00::1".parse().expect("addresses");
    let addresses = list.addresses().iter().map(ToString::to_string);
    assert_eq!(addresses.collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
}

#[test]
fn a_proxy_is_a_url_with_a_host() {
    takes::<ProxyUrl>(&[
        "http://proxy.example.com:911",
        "https://u:p%20w@proxy",
        "socks5://10.0.0.1:1080/",
        "socks5h://[fd00::1]:1080",
    ]);
    let url: ProxyUrl = "http://u:hunter2@proxy".parse().expect("a URL");
    assert_eq!(format!("{url:?}"), "ProxyUrl(hidden)");
    refuses::<ProxyUrl>(
        "proxy-url",
        &[
            "",
            "proxy:911",
            "ftp://proxy",
            "http://",
            "http://pro xy",
            "http://proxy/a b",
            "http://proxy/$x",
            "http://proxy/'",
            "http://proxy/\u{e4}",
            "http://u@proxy:0",
        ],
    );
}

#[test]
fn a_host_may_have_a_port() {
    takes::<RegistryHost>(&[
        "*",
        "docker.io",
        "localhost:1",
        "a:65535",
        "10.0.0.1:5000",
        "[::1]",
        "[fd00::1]:5000",
    ]);
    refuses::<RegistryHost>(
        "registry-host",
        &[
            "",
            ":",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "a:b",
            "a b:1",
            "[::1",
            "[::1]:",
            "[::1]:0",
            "[::1]1",
            "[a]",
            "https://a",
            "a/b",
        ],
    );
}

#[test]
fn a_host_name_is_made_of_labels() {
    let (label, longer) = ("a".repeat(63), "a".repeat(64));
    takes::<RegistryHost>(&[
        "a",
        "A-b.c_d",
        "a.",
        "1.2.3.4",
        "a--b",
        &label,
        &name_of(253),
    ]);
    refuses::<RegistryHost>(
        "registry-host",
        &[
            "a b",
            "a..b",
            ".a",
            "..",
            "-a",
            "a-",
            "b.-a",
            "a-.b",
            "\u{e4}",
            &longer,
            &name_of(254),
        ],
    );
}

#[test]
fn a_mirror_is_a_url_of_http() {
    takes::<RegistryUrl>(&[
        "https://m.example.com",
        "http://m:5000/v2?a#b",
        "https://[::1]:5000/v2",
        "m",
        "m.example.com:5000/v2",
    ]);
    refuses::<RegistryUrl>(
        "registry-url",
        &[
            "",
            "ftp://m",
            "https://",
            "https://m/a b",
            "https://m/a@b",
            "https://m/\u{e4}",
            "https://m:0",
        ],
    );
}

#[test]
fn a_rewrite_is_a_regular_expression() {
    takes::<RewriteRule>(&["^rancher/(.*)", "a"]);
    refuses::<RewriteRule>("rewrite-rule", &["", "(", "a**["]);
}

#[test]
fn a_credential_is_text_that_is_never_shown() {
    carries::<RegistrySecret>(&[
        ("hunter2", "(hidden)"),
        ("a b", "(hidden)"),
        ("{\n  \"key\": 1\n}\n", "(hidden)"),
    ]);
    refuses::<RegistrySecret>("registry-secret", &["", "a\0b"]);
    let secret: RegistrySecret = "hunter2".parse().expect("a credential");
    assert_eq!(format!("{secret:?}"), "RegistrySecret(hidden)");
}

#[test]
fn what_is_reached_without_the_proxy_is_a_list() {
    carries::<NoProxy>(&[
        ("localhost", "localhost"),
        ("a, ,b,,.c ,", "a,b,.c"),
        ("*", "*"),
        ("10.0.0.1,::1", "10.0.0.1,::1"),
        ("10.0.0.0/8,fd00::/8", "10.0.0.0/8,fd00::/8"),
        ("*.a,.b,c:80", "*.a,.b,c:80"),
        ("", ""),
    ]);
    refuses::<NoProxy>(
        "no-proxy",
        &[
            "a b",
            "http://a",
            "a/b",
            "10.0.0.0/99",
            "1.2.3",
            "1",
            ".",
            "*.",
            "a;b",
        ],
    );
    let list: NoProxy = "a, b".parse().expect("a list");
    assert_eq!(list.entries(), ["a", "b"]);
}

#[test]
fn a_port_is_a_number_without_ornaments() {
    takes::<Port>(&["1", "6443", "65535"]);
    refuses::<Port>("port", &["", "0", "65536", "-1", "+1", "06443", "6443x"]);
    let port: Port = "6443".parse().expect("a port");
    assert_eq!(port.number(), 6443);
    takes::<PortRange>(&["1-1", "30000-32767", "1-65535"]);
    refuses::<PortRange>(
        "port-range",
        &[
            "", "1", "-", "0-1", "2-1", "1-65536", "01-2", "1-02", "1-2-3", "a-b",
        ],
    );
}

#[test]
fn an_interface_has_a_name_or_a_pattern() {
    let pattern = |length: usize| "e".repeat(length - 1) + "*";
    takes::<InterfaceName>(&[
        "enp1s0",
        "en*",
        "eth?",
        "e[0-9]",
        "br-a_b.7",
        "a23456789012345",
    ]);
    takes::<InterfaceName>(&[&pattern(16), &pattern(64)]);
    refuses::<InterfaceName>(
        "interface-name",
        &[
            "",
            "lo",
            "a b",
            "a/b",
            "e[0",
            "e0]",
            "a234567890123456",
            &pattern(65),
        ],
    );
    for (name, is_pattern) in [("e0", false), ("e*", true), ("e?", true), ("e[0]", true)] {
        let name: InterfaceName = name.parse().expect("a name");
        assert_eq!(name.is_pattern(), is_pattern, "{name}");
    }
}

#[test]
fn a_hardware_address_is_six_pairs_of_digits() {
    carries::<MacAddress>(&[
        ("52:54:00:12:34:56", "52:54:00:12:34:56"),
        ("52-54-00-AA-BB-CC", "52:54:00:aa:bb:cc"),
        ("00:00:00:00:00:01", "00:00:00:00:00:01"),
    ]);
    refuses::<MacAddress>(
        "mac-address",
        &[
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "52:54:00:12:34:5",
            "52:54:00:12:34:567",
            "52:54:00:12:34:5g",
            "52:54:00:12:34:+5",
            "52-54:00:12:34:56",
            "53:54:00:12:34:56",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
        ],
    );
}

#[test]
fn an_interfaces_address_is_one_machines() {
    takes::<InterfaceAddress>(&[
        "192.168.1.24/24",
        "10.0.0.1/30",
        "10.0.0.0/31",
        "10.0.0.1/31",
        "10.0.0.1/32",
        "10.0.0.1/1",
        "fd00::1/64",
        "fd00::/64",
    ]);
    refuses::<InterfaceAddress>(
        "interface-address",
        &[
            "",
            "10.0.0.1",
            "10.0.0.1/0",
            "10.0.0.1/255.255.255.0",
            "10.0.0.0/30",
            "10.0.0.3/30",
            "255.255.255.255/32",
            "0.0.0.0/32",
            "::/64",
            "127.0.0.1/32",
            "::1/128",
            "224.0.0.1/32",
            "ff02::1/128",
            "169.254.1.1/32",
            "fe80::1/64",
        ],
    );
    let address: InterfaceAddress = "192.168.1.24/24".parse().expect("an address");
    assert_eq!(address.address().to_string(), "192.168.1.24");
    assert_eq!(address.network().to_string(), "192.168.1.0/24");
}

#[test]
fn a_time_server_is_a_host_or_an_address() {
    takes::<NtpServer>(&["ntp.example.com", "ntp", "192.168.1.1", "fd00::1", "1a"]);
    refuses::<NtpServer>(
        "ntp-server",
        &["", "1.2.3", "7", "a b", "http://ntp", "ntp:123", "ntp/a"],
    );
}
