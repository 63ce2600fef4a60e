//! What a bundle says of a test double that stands in for K3s. The script that makes the stick and the installer say
//! it in words of their own, from `testDouble` in `manifest.json`.

/// How to get a bundle without a test double.
const REMEDY: &str =
    "cargo xtask build --profile upstream, or --k3s-dir DIR with the files of a K3s release";

/// The notes of the stage: printed whenever the bundle is used, and carried into the report.
pub fn notes(double: &str) -> String {
    format!(
        "this bundle holds a test double instead of K3s: {double}. Machines that are installed from it are for tests \
         alone.\n\
         for a bundle with a K3s release: {REMEDY}\n"
    )
}

/// How the README begins.
pub fn of_readme(double: &str) -> String {
    let title = format!("WARNING: a test double instead of K3s: {double}");
    let line = "=".repeat(title.chars().count());
    format!(
        "{title}\n{line}\n\n\
         These files are made to test the installer. Do not use a machine that is installed from them for\n\
         anything else. bootable-usb-prepare.sh refuses them unless --allow-reference is given.\n\n\
         Installation files with a K3s release:\n  {REMEDY}\n\n\n"
    )
}
