//! The variable store: a firmware volume with EDK II's authenticated variables.

use thiserror::Error;

/// GUID of the firmware volume that holds variables, gEfiSystemNvDataFvGuid.
const VOLUME_GUID: [u8; 16] = guid(
    0xfff1_2b8d,
    0x7696,
    0x4c8b,
    [0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50],
);
/// GUID of a store of authenticated variables, gEfiAuthenticatedVariableGuid.
const STORE_GUID: [u8; 16] = guid(
    0xaaf3_2c78,
    0x947b,
    0x439a,
    [0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92],
);
/// Bytes of the store's own header: GUID, size, format, state, reserved.
const STORE_HEADER: usize = 28;
/// Bytes of a variable's header.
const VARIABLE_HEADER: usize = 60;
/// Content of the variables that fill a store, bytes: less than OVMF's largest.
const FILLER: usize = 8000;
/// First word of a variable's header.
const VARIABLE_START: u16 = 0x55aa;
/// State of a variable that is in use: header and data valid, not deleted.
const STATE_ADDED: u8 = 0x3f;
/// State of a variable that was being replaced when power went: still in use.
const STATE_IN_TRANSITION: u8 = 0x3e;
/// What remains of the state of a variable that is deleted: VAR_DELETED.
const STATE_DELETED: u8 = 0xfd;
/// EFI_GLOBAL_VARIABLE of the UEFI specification, the namespace of BootOrder.
const GLOBAL_VARIABLE: [u8; 16] = guid(
    0x8be4_df61,
    0x93ca,
    0x11d2,
    [0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c],
);

/// Why a file is not a variable store.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NvramError {
    /// The file is too short.
    #[error("the firmware's variable file ends at byte {0}, inside {1}")]
    Short(usize, &'static str),
    /// Something else is in the file.
    #[error("the firmware's variable file has no {0}; is it an OVMF_VARS file?")]
    Foreign(&'static str),
    /// There is no room for another variable.
    #[error("the firmware's variable file is full")]
    Full,
}

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name, such as `BootOrder`.
    pub name: String,
    /// The vendor's GUID in memory order.
    pub vendor: [u8; 16],
    /// Its attributes (non-volatile 1, boot services 2, runtime 4, ...).
    pub attributes: u32,
    /// Its content.
    pub data: Vec<u8>,
}

const fn guid(a: u32, b: u16, c: u16, d: [u8; 8]) -> [u8; 16] {
    let (a, b, c) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    [
        a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6],
        d[7],
    ]
}

/// Where the variables begin, and where the store ends.
fn variables_area(bytes: &[u8]) -> Result<(usize, usize), NvramError> {
    // EFI_FIRMWARE_VOLUME_HEADER: 16 zero bytes, GUID, length u64, "_FVH", attributes u32, header length u16.
    if take(bytes, 16, 16, "the volume's header")? != VOLUME_GUID
        || take(bytes, 40, 4, "the volume's header")? != b"_FVH"
    {
        return Err(NvramError::Foreign("firmware volume of variables"));
    }
    let start = usize::from(u16_at(bytes, 48)?);
    if take(bytes, start, 16, "the store's header")? != STORE_GUID {
        return Err(NvramError::Foreign("store of authenticated variables"));
    }
    let end = (start + u32_at(bytes, start + 16)? as usize).min(bytes.len());
    Ok((start + STORE_HEADER, end))
}

/// Reads all variables in use from the content of an OVMF variable file. A
/// variable in transition counts only when no finished one has its name.
///
/// # Errors
/// The content is no variable store.
pub fn read_store(bytes: &[u8]) -> Result<Vec<Variable>, NvramError> {
    let (mut at, end) = variables_area(bytes)?;
    let mut finished = Vec::new();
    let mut in_transition = Vec::new();
    while at + VARIABLE_HEADER <= end && u16_at(bytes, at)? == VARIABLE_START {
        let (variable, state, next) = read_variable(bytes, at)?;
        match state {
            STATE_ADDED => finished.push(variable),
            STATE_IN_TRANSITION => in_transition.push(variable),
            _ => {}
        }
        at = next;
    }
    for variable in in_transition {
        if !finished
            .iter()
            .any(|other| other.name == variable.name && other.vendor == variable.vendor)
        {
            finished.push(variable);
        }
    }
    Ok(finished)
}

/// Writes a variable of the firmware's own namespace, non-volatile and visible at run time, in place of one
/// that has its name. The machine must not run.
///
/// # Errors
/// The content is no variable store, or the store is full.
pub fn add_variable(bytes: &mut [u8], name: &str, data: &[u8]) -> Result<(), NvramError> {
    let (at, end) = delete(bytes, name)?;
    let name: Vec<u8> = name
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut variable = VARIABLE_START.to_le_bytes().to_vec();
    variable.extend([STATE_ADDED, 0]);
    // Non-volatile, boot services, run time.
    variable.extend(7u32.to_le_bytes());
    // Monotonic count, time, key index: of authenticated variables only.
    variable.extend([0; 28]);
    variable.extend(size(&name));
    variable.extend(size(data));
    variable.extend(GLOBAL_VARIABLE);
    variable.extend(name);
    variable.extend(data);
    if at + variable.len() > end {
        return Err(NvramError::Full);
    }
    bytes[at..at + variable.len()].copy_from_slice(&variable);
    Ok(())
}

/// Deletes the variable of the firmware's own namespace that has this name, if there is one. The machine must not run.
///
/// # Errors
/// The content is no variable store.
pub fn delete_variable(bytes: &mut [u8], name: &str) -> Result<(), NvramError> {
    delete(bytes, name).map(drop)
}

/// Deletes a variable; where the store's free room is.
fn delete(bytes: &mut [u8], name: &str) -> Result<(usize, usize), NvramError> {
    let (mut at, end) = variables_area(bytes)?;
    while at + VARIABLE_HEADER <= end && u16_at(bytes, at)? == VARIABLE_START {
        let (variable, _, next) = read_variable(bytes, at)?;
        if variable.name == name && variable.vendor == GLOBAL_VARIABLE {
            bytes[at + 2] &= STATE_DELETED;
        }
        at = next;
    }
    Ok((at, end))
}

/// The name of the boot entry of this number.
pub(super) fn named(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// Adds variables of the firmware's own namespace until `leave` bytes or a few less are free. The machine must not run.
///
/// # Errors
/// The content is no variable store.
pub fn fill(bytes: &mut [u8], leave: usize) -> Result<(), NvramError> {
    for number in 0.. {
        let (mut at, end) = variables_area(bytes)?;
        while at + VARIABLE_HEADER <= end && u16_at(bytes, at)? == VARIABLE_START {
            at = read_variable(bytes, at)?.2;
        }
        let name = format!("Filler{number:02}");
        let header = VARIABLE_HEADER + 2 * (name.len() + 1);
        let Some(size) = (end - at).checked_sub(leave + header) else {
            break;
        };
        add_variable(bytes, &name, &vec![0; size.min(FILLER)])?;
    }
    Ok(())
}

/// AUTHENTICATED_VARIABLE_HEADER: start u16, state u8, reserved u8, attributes
/// u32, monotonic count u64, time 16 bytes, key index u32, name size u32, data
/// size u32, vendor GUID; then name (UTF-16) and data, padded to 4 bytes.
fn read_variable(bytes: &[u8], at: usize) -> Result<(Variable, u8, usize), NvramError> {
    let state = take(bytes, at + 2, 1, "a variable's header")?[0];
    let attributes = u32_at(bytes, at + 4)?;
    let name_size = u32_at(bytes, at + 36)? as usize;
    let data_size = u32_at(bytes, at + 40)? as usize;
    let mut vendor = [0; 16];
    vendor.copy_from_slice(take(bytes, at + 44, 16, "a variable's header")?);
    let name_at = at + VARIABLE_HEADER;
    let name = utf16(take(bytes, name_at, name_size, "a variable's name")?);
    let data = take(bytes, name_at + name_size, data_size, "a variable's data")?.to_vec();
    let next = (name_at + name_size + data_size).next_multiple_of(4);
    Ok((
        Variable {
            name,
            vendor,
            attributes,
            data,
        },
        state,
        next,
    ))
}

/// UTF-16LE text up to its NUL.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    String::from_utf16_lossy(&units)
}

fn take<'a>(
    bytes: &'a [u8],
    at: usize,
    count: usize,
    what: &'static str,
) -> Result<&'a [u8], NvramError> {
    at.checked_add(count)
        .and_then(|end| bytes.get(at..end))
        .ok_or(NvramError::Short(bytes.len(), what))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, NvramError> {
    let word = take(bytes, at, 2, "a number")?;
    Ok(u16::from_le_bytes([word[0], word[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, NvramError> {
    let word = take(bytes, at, 4, "a number")?;
    Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A store with variables of the given names, states and contents.
    pub fn store(variables: &[(&str, u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes.extend(VOLUME_GUID);
        bytes.extend(0x84000u64.to_le_bytes());
        bytes.extend(b"_FVH");
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(72u16.to_le_bytes());
        bytes.resize(72, 0);
        bytes.extend(STORE_GUID);
        bytes.extend(0x10000u32.to_le_bytes());
        bytes.resize(72 + STORE_HEADER, 0);
        for (name, state, data) in variables {
            let name: Vec<u8> = name
                .encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes)
                .collect();
            bytes.extend(VARIABLE_START.to_le_bytes());
            bytes.extend([*state, 0]);
            bytes.extend(7u32.to_le_bytes());
            bytes.extend([0; 28]);
            bytes.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
            bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
            bytes.extend([0; 16]);
            bytes.extend(name);
            bytes.extend(*data);
            bytes.resize(bytes.len().next_multiple_of(4), 0xff);
        }
        bytes.resize(0x11000, 0xff);
        bytes
    }

    #[test]
    fn a_filled_store_takes_no_more_than_it_has_left() {
        let mut bytes = store(&[("BootOrder", STATE_ADDED, &[1, 0])]);
        fill(&mut bytes, 1000).unwrap();
        assert!(matches!(
            add_variable(&mut bytes, "Boot0001", &[0; 1000]),
            Err(NvramError::Full)
        ));
        add_variable(&mut bytes, "Boot0001", &[0; 800]).unwrap();
        let variables = read_store(&bytes).unwrap();
        assert!(
            variables
                .iter()
                .any(|variable| variable.name == "BootOrder")
        );
    }

    #[test]
    fn a_deleted_variable_is_not_read() {
        let read = read_store(&store(&[
            ("BootOrder", 0x3c, &[1, 0]),
            ("BootOrder", 0x3f, &[2, 0]),
        ]))
        .unwrap();
        assert_eq!(
            read.iter()
                .map(|variable| variable.data.clone())
                .collect::<Vec<_>>(),
            [[2, 0]]
        );
    }

    #[test]
    fn a_variable_in_transition_counts_until_it_is_replaced() {
        let read = read_store(&store(&[("BootOrder", 0x3e, &[1, 0])])).unwrap();
        assert_eq!(read[0].data, [1, 0]);
        let read = read_store(&store(&[
            ("BootOrder", 0x3e, &[1, 0]),
            ("BootOrder", 0x3f, &[2, 0]),
        ]))
        .unwrap();
        assert_eq!(
            (read.len(), read[0].data.as_slice()),
            (1, [2, 0].as_slice())
        );
    }

    #[test]
    fn an_added_variable_takes_the_place_of_the_one_with_its_name() {
        let mut bytes = store(&[("Timeout", 0x3f, &[5, 0])]);
        add_variable(&mut bytes, "BootOrder", &[1, 0]).unwrap();
        add_variable(&mut bytes, "BootOrder", &[2, 0, 1, 0]).unwrap();
        let read = read_store(&bytes).unwrap();
        let seen: Vec<(&str, &[u8])> = read
            .iter()
            .map(|variable| (variable.name.as_str(), variable.data.as_slice()))
            .collect();
        assert_eq!(
            seen,
            [
                ("Timeout", [5, 0].as_slice()),
                ("BootOrder", [2, 0, 1, 0].as_slice())
            ]
        );
    }

    #[test]
    fn a_full_store_takes_no_variable() {
        let mut bytes = store(&[]);
        let data = vec![0; 0x10000];
        assert_eq!(
            add_variable(&mut bytes, "Big", &data),
            Err(NvramError::Full)
        );
    }

    #[test]
    fn a_foreign_file_is_refused() {
        assert_eq!(
            read_store(&[0; 4096]),
            Err(NvramError::Foreign("firmware volume of variables"))
        );
        assert!(matches!(
            read_store(&[0; 20]),
            Err(NvramError::Short(20, _))
        ));
    }

    #[test]
    fn a_size_beyond_the_file_is_an_error_not_a_panic() {
        let mut bytes = store(&[("BootOrder", 0x3f, &[1, 0])]);
        let size = 72 + STORE_HEADER + 40;
        bytes[size..size + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(
            read_store(&bytes),
            Err(NvramError::Short(_, "a variable's data"))
        ));
    }
}
