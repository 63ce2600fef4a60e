//! The newest time that a bundle's content tells: at installation a clock that shows an earlier one is wrong. Not the time of
//! the build, as the same content gives the same bundle.

use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::Result;

/// Where a kernel has the place of its version, less the 512 bytes of the boot sector (Linux, Documentation/arch/x86/boot.rst).
const VERSION: usize = 0x20e;

/// Seconds since 1970 of the day at the end of the version of a Debian kernel: `… Debian 6.1.192-2 (2026-11-16)`; 0 for a kernel
/// that has none.
pub fn of_kernel(kernel: &Path) -> Result<u64> {
    Ok(day_of(&fs_err::read(kernel)?).unwrap_or(0))
}

fn day_of(kernel: &[u8]) -> Option<u64> {
    let place = kernel.get(VERSION..VERSION + 2)?;
    let start = usize::from(u16::from_le_bytes([place[0], place[1]])) + 512;
    let version = kernel.get(start..)?.split(|byte| *byte == 0).next()?;
    let (_, day) = std::str::from_utf8(version).ok()?.rsplit_once('(')?;
    let time = humantime::parse_rfc3339(&format!("{}T00:00:00Z", day.strip_suffix(')')?));
    Some(time.ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(version: &str) -> Vec<u8> {
        let mut kernel = vec![0; 1024];
        kernel[VERSION..VERSION + 2].copy_from_slice(&0x100u16.to_le_bytes());
        kernel.extend(vec![b'x'; 512]);
        kernel[0x300..0x300 + version.len()].copy_from_slice(version.as_bytes());
        kernel[0x300 + version.len()] = 0;
        kernel
    }

    #[test]
    fn a_kernel_of_debian_tells_its_day() {
        let version = "6.1.0-56-amd64 (kernel@example) #1 SMP Debian 6.1.192-2 (2026-11-16)";
        assert_eq!(day_of(&kernel(version)), Some(1_794_787_200));
    }

    #[test]
    fn another_kernel_tells_nothing() {
        for version in [
            "6.1.0 #1 SMP Thu Sep 18 10:00:00 UTC 2025",
            "6.1 (builder)",
            "",
        ] {
            assert_eq!(day_of(&kernel(version)), None, "{version}");
        }
        assert_eq!(day_of(b"no kernel"), None);
    }
}
