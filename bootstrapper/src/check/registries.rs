//! Checks of `kubernetes.registries`: credentials and TLS files that belong together, rules that have an effect, and no
//! second registries.yaml beside it.

use crate::codes;
use crate::config_file::ConfigFile;
use crate::model::{Mirror, RegistryAuth, RegistryTls};
use crate::report::Report;
use crate::values::GuestPath;
use crate::yaml::Pointer;
use base64::Engine as _;

impl Report<'_> {
    pub(super) fn registries(&mut self, config: &ConfigFile) {
        let registries = config.registries();
        if registries.is_empty() {
            return;
        }
        let at = Pointer::from("/kubernetes/registries");
        self.given_twice(config, &at);
        for (host, mirror) in &registries.mirrors {
            self.mirror(mirror, &at.join("mirrors").join(host));
        }
        for (host, access) in &registries.configs {
            let at = at.join("configs").join(host);
            let endpoints = registries
                .mirrors
                .values()
                .flat_map(|mirror| &mirror.endpoints);
            let hosts: Vec<&str> = endpoints.map(|url| host_of(url.as_str())).collect();
            let is_mirrored = registries.mirrors.keys().any(|mirrored| mirrored == host);
            if let Some(near) = other_port(host.as_str(), &hosts).filter(|_| !is_mirrored) {
                let message = format!("no endpoint has this name: that of the same host is {near}");
                self.warning(codes::RegistryUnused, &at, message)
                    .help(format!(
                        "name it {near}, with the port that the endpoint has"
                    ));
            }
            if let Some(auth) = &access.auth {
                self.registry_auth(auth, &at.join("auth"));
            }
            if let Some(tls) = &access.tls {
                self.registry_tls(tls, config, &at.join("tls"));
            }
        }
    }

    fn given_twice(&mut self, config: &ConfigFile, at: &Pointer) {
        let path = config.registries_path().unwrap_or_default();
        if written(config).any(|file| file.as_str() == path) {
            let message = format!("the registries are given here and in the file {path}");
            self.error(codes::RegistriesTwice, at, message)
                .help("keep one of the two");
        }
    }

    fn mirror(&mut self, mirror: &Mirror, at: &Pointer) {
        for (rule, to) in &mirror.rewrite {
            if let Some(group) = rule.missing_group(to) {
                let message =
                    format!("the replacement names the group `{group}`, which `{rule}` has not");
                self.error(codes::RewriteGroup, &at.join("rewrite").join(rule), message)
                    .help(
                        "put parentheses around what the group is to hold, such as ^rancher/(.*)",
                    );
            }
        }
        if mirror.endpoints.is_empty() && !mirror.rewrite.is_empty() {
            self.error(
                codes::RegistryRewrite,
                &at.join("rewrite"),
                "K3s rewrites names for `endpoints` only, and there are none",
            )
            .help("add the mirror's URL under `endpoints`");
        }
    }

    fn registry_auth(&mut self, auth: &RegistryAuth, at: &Pointer) {
        // Asked of the document: a value that was refused is no second fault.
        let given = |key| self.given(&at.join(key));
        let (name, password) = (given("username"), given("password"));
        let ways = [name || password, given("auth"), given("identityToken")];
        let problem = if ways.iter().filter(|given| **given).count() != 1 {
            Some(
                "give `username` and `password`, or `auth`, or `identityToken`: exactly one of them",
            )
        } else if name != password {
            Some("`username` and `password` belong together")
        } else {
            None
        };
        if let Some(problem) = problem {
            self.error(codes::RegistryAuth, at, problem);
        }
        let is_pair = |text: &str| {
            let decoded = base64::engine::general_purpose::STANDARD.decode(text);
            decoded.is_ok_and(|bytes| bytes.contains(&b':'))
        };
        if let Some(pair) = &auth.auth
            && !is_pair(pair.reveal())
        {
            self.error(
                codes::RegistryAuthEncoding,
                &at.join("auth"),
                "this is not the base64 text of user:password",
            )
            .help("write the output of: printf %s 'user:password' | base64");
        }
    }

    fn registry_tls(&mut self, tls: &RegistryTls, config: &ConfigFile, at: &Pointer) {
        if self.given(&at.join("certFile")) != self.given(&at.join("keyFile")) {
            self.error(
                codes::RegistryTls,
                at,
                "`certFile` and `keyFile` belong together",
            );
        }
        let files = [
            ("caFile", &tls.ca_file),
            ("certFile", &tls.cert_file),
            ("keyFile", &tls.key_file),
        ];
        for (key, path) in files {
            let Some(path) = path else { continue };
            // What is elsewhere can only be part of the OS image.
            let may_be_written = ["/etc/", "/var/"]
                .iter()
                .any(|start| path.as_str().starts_with(start));
            if may_be_written && !written(config).any(|file| file.as_str() == path.as_str()) {
                let message = format!("{path} is not among the files of this config-file");
                self.warning(codes::RegistryTlsFile, &at.join(key), message)
                    .help("give it under `files` or `writeFiles`, unless the OS image has it: without it no image is pulled");
            }
        }
    }
}

/// Host and port of an endpoint.
pub(super) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// The endpoint that is the same host with another port, where none is the very same.
pub(super) fn other_port<'a>(host: &str, endpoints: &[&'a str]) -> Option<&'a str> {
    fn bare(text: &str) -> &str {
        text.rsplit_once(':').map_or(text, |(name, _)| name)
    }
    if endpoints.contains(&host) {
        return None;
    }
    endpoints
        .iter()
        .copied()
        .find(|other| bare(other) == bare(host))
}

/// The paths of all files that the config-file writes.
fn written(config: &ConfigFile) -> impl Iterator<Item = &GuestPath> {
    let first_boot = config.files();
    let installed = &config.operating_system.write_files;
    first_boot.iter().chain(installed).map(|file| &file.path)
}
