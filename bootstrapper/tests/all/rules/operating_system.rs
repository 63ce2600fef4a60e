//! Operating system sections with one fault each.

/// From line 2 on; the code, the line and the column.
pub const OS_ERRORS: &[(&str, &str, usize, usize)] = &[
    ("  users: [{username: Ed}]\n", "user-name", 2, 22),
    ("  users: [{username: sshd}]\n", "user-name-system", 2, 22),
    (
        "  users: [{username: a, password: '?'}]\n",
        "password-encoding",
        2,
        35,
    ),
    (
        "  users: [{username: a, password: Cg==}]\n",
        "password-empty",
        2,
        35,
    ),
    (
        "  users: [{username: a, password: $6$x}]\n",
        "password-hash",
        2,
        35,
    ),
    (
        "  users: [{username: a, password: YQ==}, {username: a}]\n",
        "duplicate-user",
        2,
        53,
    ),
    ("  users: [{password: YQ==}]\n", "missing-key", 2, 11),
    ("  sshKey: ssh-ed25519\n", "ssh-key", 2, 11),
    ("  sshKey: ssh-ed25519 AAAA\n", "ssh-key", 2, 11),
    (
        "  sshKey: ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n",
        "ssh-key",
        2,
        11,
    ),
    ("  sshKey: [x]\n", "ssh-key", 2, 12),
    (
        "  proxy: {httpProxy: proxy:8080}\n  users: [{username: a, password: YQ==}]\n",
        "proxy-url",
        2,
        22,
    ),
    (
        "  proxy: {httpProxy: 'http://p:99999'}\n  users: [{username: a, password: YQ==}]\n",
        "proxy-url",
        2,
        22,
    ),
    (
        "  proxy: {noProxy: 'http://x'}\n  users: [{username: a, password: YQ==}]\n",
        "no-proxy",
        2,
        20,
    ),
    (
        "  proxy: {noProxy: 10.0.0.0/99}\n  users: [{username: a, password: YQ==}]\n",
        "no-proxy",
        2,
        20,
    ),
    (
        "  hostname: Edge\n  users: [{username: a, password: YQ==}]\n",
        "host-name",
        2,
        13,
    ),
];
