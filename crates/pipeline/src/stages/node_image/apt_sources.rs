//! The host's own apt sources, where they have Debian's archive: a mirror near the host, or the only
//! one that it can reach, is used for the image as well.

use anyhow::Result;
use fs_err as fs;

/// Where apt keeps them.
const FILE: &str = "/etc/apt/sources.list";
const DIRECTORY: &str = "/etc/apt/sources.list.d";
/// Suites that belong to a release, after its name.
const SUFFIXES: [&str; 3] = ["", "-updates", "-security"];

/// One-line sources of `suite`, its updates and its security updates; none on a host that is not
/// Debian or does not have the release itself, which leaves the choice to mmdebstrap.
pub fn of_host(suite: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut paths = vec![FILE.into()];
    if let Ok(entries) = fs::read_dir(DIRECTORY) {
        for entry in entries {
            paths.push(entry?.path());
        }
    }
    paths.sort();
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => lines.extend(one_line(&text, suite)),
            Some("sources") => lines.extend(deb822(&text, suite)),
            _ => {}
        }
    }
    let has_release = lines
        .iter()
        .any(|line| line.ends_with(&format!(" {suite} main")));
    Ok(if has_release { lines } else { Vec::new() })
}

/// Debian's own archives have the component `main` in suites named for the release. `keys` are the files that the host
/// trusts them by; a host that is not Debian trusts them by no others.
fn source(
    uri: &str,
    named: &str,
    components: &[&str],
    suite: &str,
    keys: Option<&str>,
) -> Option<String> {
    let ours = SUFFIXES
        .iter()
        .any(|suffix| named == format!("{suite}{suffix}"));
    let fetched = uri.starts_with("http://") || uri.starts_with("https://");
    let options = keys.map_or_else(String::new, |keys| format!("[signed-by={keys}] "));
    (ours && fetched && components.contains(&"main"))
        .then(|| format!("deb {options}{uri} {named} main"))
}

fn one_line(text: &str, suite: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?,
                None => ("", rest),
            };
            let mut options = options.split_whitespace();
            let keys = options.find_map(|option| option.strip_prefix("signed-by="));
            let words: Vec<&str> = rest.split_whitespace().collect();
            let (uri, named) = (words.first()?, words.get(1)?);
            source(uri, named, &words[2..], suite, keys)
        })
        .collect()
}

fn deb822(text: &str, suite: &str) -> Vec<String> {
    let uncommented: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    uncommented
        .split("\n\n")
        .filter(|stanza| {
            field(stanza, "Types").contains(&"deb") && field(stanza, "Enabled") != ["no"]
        })
        .flat_map(|stanza| {
            let components = field(stanza, "Components");
            let keys = key_files(stanza);
            let mut found = Vec::new();
            for uri in field(stanza, "URIs") {
                let suites = field(stanza, "Suites");
                found.extend(
                    suites.iter().filter_map(|named| {
                        source(uri, named, &components, suite, keys.as_deref())
                    }),
                );
            }
            found
        })
        .collect()
}

/// The files of `Signed-By`, which may hold a key itself instead.
fn key_files(stanza: &str) -> Option<String> {
    let files = field(stanza, "Signed-By");
    let are_files = !files.is_empty() && files.iter().all(|file| file.starts_with('/'));
    are_files.then(|| files.join(","))
}

/// The words of a field, which may go on in indented lines.
fn field<'a>(stanza: &'a str, name: &str) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut inside = false;
    for line in stanza.lines() {
        if line.starts_with([' ', '\t']) {
            if inside {
                words.extend(line.split_whitespace());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            inside = key.eq_ignore_ascii_case(name);
            if inside {
                words.extend(value.split_whitespace());
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_suites_are_taken_from_deb822_files() {
        let text = "Types: deb\n# a comment\nURIs: http://mirror.invalid/debian\n\
                    Suites: bookworm\n bookworm-updates\nComponents: main contrib\n\n\
                    Types: deb-src\nURIs: http://mirror.invalid/debian\nSuites: bookworm\nComponents: main\n";
        assert_eq!(
            deb822(text, "bookworm"),
            [
                "deb http://mirror.invalid/debian bookworm main",
                "deb http://mirror.invalid/debian bookworm-updates main"
            ]
        );
    }

    #[test]
    fn debian_suites_are_taken_from_one_line_files() {
        let text = "deb [signed-by=/a/key arch=amd64] https://mirror.invalid/debian bookworm main\n\
                    #deb http://mirror.invalid/debian bookworm main\n\
                    deb-src http://mirror.invalid/debian bookworm main\n";
        assert_eq!(
            one_line(text, "bookworm"),
            ["deb [signed-by=/a/key] https://mirror.invalid/debian bookworm main"]
        );
    }

    #[test]
    fn a_source_is_trusted_by_the_key_files_that_the_host_trusts_it_by() {
        let text = |keys: &str| {
            format!(
                "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm\nComponents: main\n\
                 Signed-By: {keys}\n"
            )
        };
        for (keys, option) in [
            ("/a/key", "[signed-by=/a/key] "),
            ("/a/key\n /b/key", "[signed-by=/a/key,/b/key] "),
            ("\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ", ""),
        ] {
            let line = format!("deb {option}http://mirror.invalid/debian bookworm main");
            assert_eq!(deb822(&text(keys), "bookworm"), [line]);
        }
    }

    #[test]
    fn other_publishers_and_other_releases_are_left_out() {
        let text = "deb https://vendor.invalid/debian bookworm stable\n\
                    deb https://vendor.invalid/apt sdk-bookworm main\n\
                    deb http://mirror.invalid/debian trixie main\n\
                    deb file:/srv/mirror bookworm main\n";
        assert!(one_line(text, "bookworm").is_empty());
    }
}
