//! The time of everything that is made here.

/// The modification time of everything this crate makes itself: 2017-04-18T16:30:00Z, the
/// constant LinuxKit uses. Unit: seconds since 1970.
pub const T0: u64 = 1_492_533_000;
