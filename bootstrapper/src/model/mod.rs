//! The config-file as types: the single source of the JSON Schema, the documentation, the checks and the conversion.

mod config_file;
mod files;
mod install_disk;
mod kthrees;
mod kubernetes;
mod operating_system;
mod registries;
mod rke2;
mod rke2_registries;
mod system;

pub use config_file::ConfigFile;
pub use files::{ContentError, Encoding, File, MAX_UNPACKED, OneOrMany};
pub use install_disk::{InstallDisk, Transport};
pub use kthrees::{
    AgentConfig, ConfigSpec, KThreesApiVersion, KThreesControlPlaneTemplate, KThreesKind,
    KThreesSpec, KThreesTemplate, ServerConfig, TemplateSpec,
};
pub use kubernetes::Kubernetes;
pub use operating_system::{OperatingSystem, Proxy, SshKeySource, User};
pub use registries::{Mirror, Registries, RegistryAuth, RegistryConfig, RegistryTls};
pub use rke2::{
    CisProfile, Cni, ComponentConfig, EncryptionProvider, EtcdBackupConfig, EtcdConfig,
    KubeletConfig, KubernetesComponent, PluginComponent, Rke2AgentConfig, Rke2ApiVersion,
    Rke2ConfigSpec, Rke2ControlPlaneTemplate, Rke2DisableComponents, Rke2Format, Rke2Kind,
    Rke2ServerConfig, Rke2Spec, Rke2Template, SecretsEncryption,
};
pub use rke2_registries::{Rke2Mirror, Rke2Registries, Rke2RegistryConfig, Rke2RegistryTls};
pub use system::{NetworkInterface, Services};
