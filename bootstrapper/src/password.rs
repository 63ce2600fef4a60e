//! Hashes of passwords. The plain text goes in here and nowhere else.

use crate::values::Password;
use sha_crypt::{PasswordHasher as _, PasswordVerifier as _, ShaCrypt};

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
    let hash = ShaCrypt::SHA512
        .hash_password(plain)
        .map_err(|error| HashError(error.to_string()))?;
    Ok(hash.as_str().to_owned())
}
