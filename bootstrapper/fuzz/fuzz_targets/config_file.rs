//! Any bytes as a config-file: they are read or refused, and what is accepted converts. Nothing else is claimed here;
//! tests/properties.rs has the properties.

#![no_main]

use cluster_bootstrapper::{ParseOptions, parse_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse_bytes(bytes.to_vec(), &ParseOptions::default());
    for finding in &parsed.diagnostics {
        let _ = finding.render("config-file", parsed.source(), true);
    }
    if let Some(config) = &parsed.config {
        let boot = config.first_boot().expect("an accepted config-file converts");
        assert!(boot.cloud_config().starts_with("#cloud-config\n"));
    }
});
