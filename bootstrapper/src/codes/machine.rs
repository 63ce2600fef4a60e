//! Codes of the operating system section: users, disks, network, services, proxy.

diagnostics::codes! {
    /// Faults of the machine's own configuration.
    pub(crate) enum MachineCode {
        DiskByPath = "disk-by-path" [Error] "A value is not the place of a disk",
            "The installer compares it with the names in /dev/disk/by-path, so another name fits no disk. Names \
             such as /dev/sda change at reboot, and a partition is not a disk. Write what `ls /dev/disk/by-path` \
             shows, without `-part1`.",
            "byPath: pci-0000:00:1f.2-ata-1";
        DiskGlob = "disk-glob" [Error] "A value is not a disk's model",
            "It is empty, longer than 128 characters or has characters that no disk has in its name. Write what \
             `lsblk -o NAME,MODEL` shows; `*` stands for any text, `?` for one character.";
        DiskId = "disk-id" [Error] "A value is not a disk's serial number or world-wide name",
            "It is empty, too long, not printable ASCII, or has a wildcard: it is compared as a whole, and would \
             fit no disk. Write what `lsblk -o NAME,SERIAL,WWN` shows.";
        DiskSize = "disk-size" [Error] "A value is not the size of a disk",
            "A size is a whole number with a unit: KB, MB, GB, TB are decimal, KiB, MiB, GiB, TiB binary. A number \
             without a unit is bytes, and so small a disk does not exist.",
            "# wrong\nminSize: 64\n# right\nminSize: 64GB";
        DiskSizeRange = "disk-size-range" [Error] "minSize is larger than maxSize",
            "No disk can fit both, so the installer would find none. Correct one of the two.";
        DuplicateUser = "duplicate-user" [Error] "A user occurs twice",
            "Two entries have the same `username`, and an account has one password. Keep one of them.";
        HostName = "host-name" [Error] "A value is not a host name",
            "Linux and Kubernetes take lower-case letters, digits, `-` and `.`, at most 64 characters, beginning \
             and ending in a letter or digit. Correct the name.";
        InterfaceAddress = "interface-address" [Error] "A value is not an address that an interface can have",
            "An address with the length of its prefix is wanted, and one that a single machine can have and be \
             reached at: no network's own address, no broadcast, loopback, multicast or link-local one. Write \
             192.168.1.24/24; a mask of 255.255.255.0 is /24.",
            "# wrong\naddresses: [192.168.1.0/24]\n# right\naddresses: [192.168.1.24/24]";
        InterfaceName = "interface-name" [Error] "A value is not the name of a network interface",
            "A name has at most 15 letters, digits, `.`, `_` and `-`; with the wildcards `*`, `?` and `[...]` it \
             may be longer. `lo` leads to no network. Write what `ip link` shows, or use macAddress.";
        MacAddress = "mac-address" [Error] "A value is not the hardware address of an interface",
            "It is not six pairs of hexadecimal digits, is zero, or is the address of a group, so no interface has \
             it and the settings would apply to none. Write what `ip link` shows behind link/ether.",
            "macAddress: 52:54:00:12:34:56";
        NetworkAddressTwice = "network-address-twice" [Error] "An address is given twice",
            "Two entries have the same address, on one interface or on two; which of them answers would be chance. \
             Correct one of them.";
        NetworkAddresses = "network-addresses" [Error] "An entry of `network` has no address",
            "An entry sets static addresses and turns DHCP off for its interface, which would be left without any. \
             Add addresses, or leave the whole entry out for an interface that asks DHCP.";
        NetworkGateway = "network-gateway" [Error] "An interface cannot use its gateway",
            "The gateway is the interface's own address, or of a family (IPv4, IPv6) of which the interface has no \
             address. The node would have no default route of that family. Correct the gateway or add an address.";
        NetworkGatewayOnLink = "network-gateway-on-link" [Warning] "The gateway is in no network of the interface",
            "No prefix of `addresses` has the gateway in it. The node takes it to be reachable on the link \
             directly, which some providers want; mostly the gateway or a prefix length is mistyped, and the node \
             is not reached. Check both.";
        NetworkGatewayTwice = "network-gateway-twice" [Error] "There are two default gateways of one address family",
            "One interface, or two, have default gateways of the same family. Kubernetes takes the node's address \
             from the interface of the default route, which would be left to chance. Keep one IPv4 and one IPv6 \
             gateway at most.";
        NetworkInterface = "network-interface" [Error] "An entry of `network` does not say which interface it is for",
            "Without a name or hardware address the settings apply to no interface. Add `interface` or `macAddress`.",
            "network:\n- interface: enp1s0\n  addresses: [192.168.1.24/24]";
        NetworkPattern = "network-pattern" [Note] "Several interfaces may get the same addresses",
            "The name has wildcards, and every Ethernet interface that fits gets these addresses. That is right on \
             a machine with one. On a machine with several, name one or give its macAddress.";
        NetworkTwice = "network-twice" [Error] "An interface occurs twice in `network`",
            "Two entries have the same name or hardware address, and one of them would be ignored. Join them: an \
             interface may have several addresses.";
        NoLogin = "no-login" [Warning] "Nobody can log in to the node",
            "No user has a password and there is no SSH key. The node runs, but when it fails nobody can look at \
             it. Give a user a password, or set sshKey.";
        NoProxy = "no-proxy" [Error] "An entry of noProxy is not a host, domain, address or network",
            "Programs would not understand the entry and send what was meant to stay local to the proxy. Entries \
             have commas between them, and no scheme or path.",
            "noProxy: localhost,10.0.0.0/8,.example.com";
        NtpServer = "ntp-server" [Error] "A value is not a time server",
            "systemd-timesyncd takes a host name or an IP address, without scheme or port. Write one server per \
             list element.";
        PasswordEmpty = "password-empty" [Error] "A password is empty",
            "The decoded password has no character, or is a line break alone. Leave `password` out for a user who \
             logs in with an SSH key only.";
        PasswordEncoding = "password-encoding" [Error] "A password is not base64 of a string",
            "`password` is the base64 text of the password; this is not base64, or what it decodes to is not UTF-8 \
             or has a line break or control character, which nobody can type at a login. Write the output of: \
             printf %s 'the password' | base64";
        PasswordHash = "password-hash" [Error] "A password hash is incomplete or of an unknown kind",
            "A `password` that starts with `$` is taken for a hash of crypt(5). This one is cut short or of a kind \
             that the node does not know, and nobody could log in with it. A shell may have replaced `$6` when it \
             was copied. Make one with `mkpasswd -m sha-512`, or give the password in base64.";
        PasswordNewline = "password-newline" [Note] "The password ended in a line break, which is dropped",
            "`echo password | base64` encodes the line break as well, which nobody types at a login. It is left \
             out. Encode with printf: printf %s 'the password' | base64";
        PasswordPlaceholder = "password-placeholder" [Error] "A password is the sample's placeholder",
            "CHANGE-ME stands in the sample for a password and is not one. Write the output of: printf %s 'the \
             password' | base64; or leave `password` out and give an sshKey.";
        PasswordWeak = "password-weak" [Warning] "A password is guessed soon",
            "It has fewer than 8 characters, is the user's name, or is on the list of those that attackers try \
             first. Choose a longer one that is used nowhere else, or leave it out and give an sshKey.";
        ProxyUrl = "proxy-url" [Error] "A value is not the URL of a proxy",
            "Programs want scheme://host:port with the scheme http, https, socks5 or socks5h. Characters that a \
             shell or systemd would read as their own (quotes, `$`, `\\`, `#`, spaces) have to be percent-encoded \
             in a password.",
            "httpProxy: http://proxy.example.com:911";
        ServiceNeeded = "service-needed" [Error] "A unit is disabled that another key needs",
            "Static addresses need systemd-networkd, DNS servers systemd-resolved, time servers systemd-timesyncd. \
             Without the unit the key would have no effect. Leave one of the two out.";
        ServiceReserved = "service-reserved" [Error] "A unit of the first boot is enabled or disabled",
            "cloud-init, K3s and RKE2 are set up by the first boot itself. Disabled, the node would not become a \
             cluster; enabled early, they would start before they are configured. Leave the unit out.";
        ServiceTwice = "service-twice" [Error] "A unit occurs twice in `services`",
            "It is enabled and disabled, or listed twice. Keep one.";
        SshKey = "ssh-key" [Error] "A value is not an OpenSSH public key",
            "sshd would skip the line and the user could not log in. It may be cut short, wrapped over lines, a \
             type that OpenSSH no longer takes, or a private key, which must not leave its owner's machine. Paste \
             the whole line of a .pub file.",
            "sshKey: ssh-ed25519 AAAAC3Nza... user@example.com";
        TimeZone = "time-zone" [Error] "A value is not the name of a time zone",
            "The name becomes a path below /usr/share/zoneinfo. Names of the IANA time zone database have parts that \
             start with a capital letter, with `/` between; offsets such as +02:00 are none. Write what \
             `timedatectl list-timezones` shows.",
            "timezone: Europe/Berlin";
        TimeZoneUnknown = "time-zone-unknown" [Warning] "The time zone database has no zone of this name",
            "The installer links the zone's file of the OS image and refuses a zone that the image lacks. The names are \
             those of the IANA time zone database when this program was made; a newer image may have more. Write what \
             `timedatectl list-timezones` shows.",
            "timezone: Europe/Berlin";
        UnitName = "unit-name" [Error] "A value is not the name of a systemd unit that can be enabled",
            "It has characters that no unit has, is of a kind that cannot be enabled (device, scope, snapshot), or \
             is a template without its instance. Write what `systemctl list-unit-files` shows, and \
             name@instance.service for a template.";
        UserName = "user-name" [Error] "A value is not a user name",
            "Login names start with a lower-case letter or `_` and go on with lower-case letters, digits, `-` and \
             `_`, at most 32 characters. Choose another name.";
        UserNameSystem = "user-name-system" [Error] "A user has the name of an account of the system",
            "The OS image has such accounts for its services, and a login user would take one over. Choose another \
             name.";
    }
}
