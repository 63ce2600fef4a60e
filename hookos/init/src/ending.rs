//! How processes end.

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ended by itself, with this status.
    Exit(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Ending {
    /// Whether it ended by itself with status 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Exit(0)
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "ended with status {status}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}
