//! Which redirects are followed.

use reqwest::redirect::{Action, Attempt};

use super::address::origin;

/// Redirects that are followed; GitHub needs one, a mirror in front of it two.
pub const REDIRECTS: usize = 10;

/// A redirect that is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRedirect {
    #[error("it leads from https to {0}")]
    Downgrade(String),
    #[error("it is the {REDIRECTS}th but one in a row")]
    TooMany,
}

/// Follows a redirect, but for too many and from https to anything else.
pub fn follow(attempt: Attempt<'_>) -> Action {
    let secure = attempt.previous().iter().any(|url| url.scheme() == "https");
    if secure && attempt.url().scheme() != "https" {
        let to = origin(attempt.url());
        return attempt.error(RefusedRedirect::Downgrade(to));
    }
    if attempt.previous().len() > REDIRECTS {
        return attempt.error(RefusedRedirect::TooMany);
    }
    attempt.follow()
}
