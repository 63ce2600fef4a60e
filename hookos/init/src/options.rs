//! The kernel command line's options that mean something to PID 1.

/// Options of `/proc/cmdline`, with LinuxKit's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// `linuxkit.runc_debug=1`: runc's own debug messages go into the logs of
    /// the onboot and onshutdown containers.
    pub runc_debug: bool,
    /// `linuxkit.runc_console=1`: onboot and onshutdown containers write to
    /// the console instead of their log files.
    pub runc_console: bool,
    /// `linuxkit.unified_cgroup_hierarchy=0` asks for cgroup v1, which this
    /// init does not have; it says so and goes on with v2.
    pub cgroup_v1_asked_for: bool,
}

impl Options {
    /// Reads the options out of a kernel command line. The last one of a name counts.
    #[must_use]
    pub fn parse(cmdline: &str) -> Self {
        let mut options = Self::default();
        for word in cmdline.split_whitespace() {
            match word.split_once('=') {
                Some(("linuxkit.runc_debug", value)) => options.runc_debug = value == "1",
                Some(("linuxkit.runc_console", value)) => options.runc_console = value == "1",
                Some(("linuxkit.unified_cgroup_hierarchy", value)) => {
                    options.cgroup_v1_asked_for = value == "0";
                }
                _ => {}
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_options_of_linuxkit() {
        let options = Options::parse("console=ttyS0 linuxkit.runc_debug=1 linuxkit.runc_console=1");
        assert!(options.runc_debug && options.runc_console && !options.cgroup_v1_asked_for);
    }

    #[test]
    fn the_last_option_of_a_name_counts() {
        let options = Options::parse("linuxkit.runc_console=1 linuxkit.runc_console=0");
        assert!(!options.runc_console);
    }

    #[test]
    fn cgroup_v1_is_only_asked_for_by_a_zero() {
        assert!(Options::parse("linuxkit.unified_cgroup_hierarchy=0").cgroup_v1_asked_for);
        assert!(!Options::parse("linuxkit.unified_cgroup_hierarchy=1").cgroup_v1_asked_for);
    }
}
