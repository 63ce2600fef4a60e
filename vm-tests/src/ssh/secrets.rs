//! Texts that no log and no report may show.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Secrets and how they are hidden.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Hides `secret` from now on, as it is and in base64. Texts of less than
    /// four characters are not hidden: they would blacken half of every log.
    pub fn add(&mut self, secret: &str) {
        let forms = [
            secret.to_owned(),
            STANDARD.encode(secret),
            STANDARD.encode(format!("{secret}\n")),
        ];
        for form in forms {
            if form.len() >= 4 && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // The longest first, so that no part of one is left by another inside it.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The text without its secrets.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret, "********")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_a_secret_in_all_its_forms() {
        let mut secrets = Secrets::default();
        secrets.add("hunter42");
        let text = format!("a hunter42 b {} c", STANDARD.encode("hunter42\n"));
        assert_eq!(secrets.mask(&text), "a ******** b ******** c");
    }
}
