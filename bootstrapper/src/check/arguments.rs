//! Checks of the arguments of Kubernetes' components.

use crate::distribution::Distribution;
use crate::report::Report;
use crate::values::ComponentArg;
use crate::yaml::Pointer;

impl Report<'_> {
    /// Checks the arguments of all components of a template.
    pub(super) fn component_arguments(&mut self, distribution: &dyn Distribution) {
        for arguments in distribution.arguments() {
            let at = self.below_spec(&arguments.at);
            match arguments.setting.as_str() {
                "kubelet-arg" => self.kubelet_arguments(arguments.list, arguments.more, &at),
                _ => self.arguments(arguments.list, &at),
            }
        }
    }

    /// Arguments of the kubelet, to which the conversion may add one. K3s drops the element after one without `=`,
    /// whatever it is.
    fn kubelet_arguments(&mut self, args: &[ComponentArg], more: bool, at: &Pointer) {
        for (index, arg) in args.iter().enumerate() {
            let is_last = index + 1 == args.len();
            if !arg.has_value() && (more || !is_last) && !needs_value(arg) {
                let message = if is_last {
                    format!("`{arg}` has no `=`: K3s would drop the cloud provider after it")
                } else {
                    format!("`{arg}` has no `=`: K3s would drop the argument after it")
                };
                self.error("argument-without-value", &at.join(index), message)
                    .help(format!("write {arg}=true"));
            }
        }
        self.arguments(args, at);
    }

    /// Arguments of any component.
    fn arguments(&mut self, args: &[ComponentArg], at: &Pointer) {
        for (index, arg) in args.iter().enumerate() {
            self.tls_argument(arg, &at.join(index));
            if !arg.has_value() && needs_value(arg) {
                let message =
                    format!("`{arg}` has no `=`: it needs a value, and K3s would not start");
                self.error("argument-without-value", &at.join(index), message)
                    .help(format!("write {arg}=<value>"));
            }
        }
    }
}

/// Arguments that K3s reads, too: it panics where they have no value, and `true` is none for the components.
fn needs_value(arg: &ComponentArg) -> bool {
    ["tls-cipher-suites", "tls-min-version"].contains(&arg.key_value().0)
}
