//! The installer's markers: `EMTS step=<name> state=<state> t=<seconds> [reason=<text>]`.

use std::fmt;

/// The installer's steps in their order.
pub const STEPS: [&str; 11] = [
    "find-media",
    "validate-config",
    "verify-image",
    "choose-disk",
    "write-image",
    "grow-root",
    "configure-os",
    "configure-kubernetes",
    "set-boot-order",
    "save-logs",
    "reboot",
];

/// What a marker says of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerState {
    /// The step began.
    Begin,
    /// The step ended well.
    Done,
    /// The step failed, and the installation with it.
    Failed,
}

/// One marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The step's name.
    pub step: String,
    /// Begin, done or failed.
    pub state: MarkerState,
    /// Time since the installer's start, as printed, in seconds.
    pub t: String,
    /// Why it failed.
    pub reason: Option<String>,
}

impl Marker {
    /// Reads a marker from a console line. Other lines, and markers cut short or
    /// mixed with a kernel message, give none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let rest = &line[line.find("EMTS step=")? + "EMTS ".len()..];
        let (fields, reason) = match rest.split_once(" reason=") {
            Some((fields, reason)) => (fields, Some(reason.trim().to_owned())),
            None => (rest, None),
        };
        let mut words = fields.split_whitespace();
        let step = words.next()?.strip_prefix("step=")?.to_owned();
        let state = match words.next()?.strip_prefix("state=")? {
            "begin" => MarkerState::Begin,
            "done" => MarkerState::Done,
            "failed" => MarkerState::Failed,
            _ => return None,
        };
        let t = words.next()?.strip_prefix("t=")?;
        let number = !t.is_empty() && t.parse::<f64>().is_ok();
        number.then(|| Self {
            step,
            state,
            t: t.to_owned(),
            reason,
        })
    }

    /// True for the last marker of an installation that went well.
    #[must_use]
    pub fn ends_installation(&self) -> bool {
        self.step == "reboot" && self.state == MarkerState::Done
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            MarkerState::Begin => "begin",
            MarkerState::Done => "done",
            MarkerState::Failed => "failed",
        };
        write!(f, "step={} state={state} t={}", self.step, self.t)?;
        self.reason
            .iter()
            .try_for_each(|reason| write!(f, " reason={reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_marker_behind_a_kernel_time() {
        let marker = Marker::parse("[   12.5] EMTS step=write-image state=begin t=3").unwrap();
        assert_eq!(
            (marker.step.as_str(), marker.state, marker.t.as_str()),
            ("write-image", MarkerState::Begin, "3")
        );
    }

    #[test]
    fn keeps_the_whole_reason() {
        let marker = Marker::parse("EMTS step=choose-disk state=failed t=4.2 reason=no disk is large enough: nvme0n1 t=8 GiB").unwrap();
        assert_eq!(
            marker.reason.as_deref(),
            Some("no disk is large enough: nvme0n1 t=8 GiB")
        );
    }

    #[test]
    fn ignores_markers_that_are_cut_short() {
        for line in [
            "EMTS step=write-image state=be",
            "EMTS step=write-image",
            "EMTS step=x state=done t=",
            "EMTS step=x state=odd t=1",
            "EMTS",
        ] {
            assert_eq!(Marker::parse(line), None, "{line}");
        }
    }

    #[test]
    fn only_the_done_reboot_ends_the_installation() {
        assert!(
            Marker::parse("EMTS step=reboot state=done t=9")
                .unwrap()
                .ends_installation()
        );
        assert!(
            !Marker::parse("EMTS step=reboot state=begin t=9")
                .unwrap()
                .ends_installation()
        );
    }
}
