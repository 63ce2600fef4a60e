//! Hashes of passwords. The plain text goes in here and nowhere else.

use crate::values::Password;
use sha_crypt::{CustomizedPasswordHasher as _, Params, PasswordVerifier as _, ShaCrypt};

/// Bytes of a salt. crypt(3) takes 16 characters, which hold 12 bytes.
const SALT_BYTES: usize = 12;

/// A password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("hashing a password: {0}")]
pub struct HashError(String);

/// The crypt(5) hash for /etc/shadow. A hash that is there already is kept when it is one of the same password.
///
/// # Errors
/// The system gives no random salt.
pub fn shadow_hash(password: &Password, existing: Option<&str>) -> Result<String, HashError> {
    if let Some(hash) = password.hash() {
        return Ok(hash.to_owned());
    }
    let plain = password.plain().unwrap_or_default().as_bytes();
    if let Some(existing) = existing.filter(|hash| hash.starts_with("$6$"))
        && let Ok(parsed) = sha_crypt::PasswordHash::new(existing)
        && ShaCrypt::SHA512.verify_password(plain, &parsed).is_ok()
    {
        return Ok(existing.to_owned());
    }
    let mut salt = [0; SALT_BYTES];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut salt, flags)
        .map_err(|errno| HashError(format!("no random salt from the system: {errno}")))?;
    let hash = ShaCrypt::SHA512
        .hash_password_customized(plain, &salt, None, None, Params::RECOMMENDED)
        .map_err(|error| HashError(error.to_string()))?;
    Ok(hash.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        text.parse().expect("a password")
    }

    #[test]
    fn hashes_with_a_salt_that_the_c_library_takes_whole() {
        let hash = shadow_hash(&password("cGFzc3dvcmQ="), None).expect("hashed");
        let salt = hash.split('$').nth(3).expect("a salt");
        assert_eq!(salt.len(), 16, "crypt(3) cuts a longer salt: {salt}");
        assert_ne!(
            hash,
            shadow_hash(&password("cGFzc3dvcmQ="), None).expect("hashed")
        );
    }

    #[test]
    fn keeps_the_hash_of_the_same_password() {
        let same = password("SGVsbG8gd29ybGQh");
        let first = shadow_hash(&same, None).expect("hashed");
        assert_eq!(shadow_hash(&same, Some(&first)).expect("hashed"), first);
        let other = password("b3RoZXI=");
        assert_ne!(shadow_hash(&other, Some(&first)).expect("hashed"), first);
    }
}
