//! The tests of the program and of the library as its users call them: one file a subject, one binary for all.

mod accounts;
mod cloud_init;
mod command_line;
mod default_route;
mod differences;
mod first_boot;
mod generated;
mod install;
mod install_system;
mod migrate;
mod networkd;
mod properties;
mod registries;
mod rke2;
mod robustness;
mod rules;
mod rules_document;
mod rules_os;
mod sample;
mod secrets;
mod shape;
mod shell_cases;
mod support;
mod tree;
mod validate;
mod values;
