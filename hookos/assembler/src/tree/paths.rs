//! Names in layers: cleaned, and refused when they try to leave the image's root.

/// Cleans an entry's name: no `./`, no doubled or trailing `/`; empty for the root itself.
///
/// # Errors
/// The reason, for absolute names and names with `..`.
pub fn clean(name: &str) -> Result<String, String> {
    if name.starts_with('/') {
        return Err("its name is absolute".into());
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err("its name has `..`, which leaves the image's root".into()),
            part if part.contains('\0') => return Err("its name has a NUL".into()),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Parent and last part of a cleaned name.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// `parent/name`, or `name` below the root.
pub fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.into()
    } else {
        format!("{parent}/{name}")
    }
}

/// Where a symbolic link found at `link` leads, as a cleaned name.
///
/// # Errors
/// The reason, when it leads out of the image's root or is absolute: unpacked below a prefix, an
/// absolute link leads into the tree around the image.
pub fn follow(link: &str, target: &str) -> Result<String, String> {
    if target.starts_with('/') {
        return Err(format!(
            "it would be written through `{link}`, a symbolic link to the absolute path `{target}`"
        ));
    }
    let mut parts: Vec<&str> = split(link)
        .0
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(format!(
                        "it would be written through `{link}`, a symbolic link to `{target}`, which leaves the image's root"
                    ));
                }
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The target of a relative symbolic link at `link` that leads to `target`, both cleaned names.
pub fn relative(link: &str, target: &str) -> String {
    let from: Vec<&str> = split(link)
        .0
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let to: Vec<&str> = target.split('/').collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - common);
    up.chain(to[common..].iter().copied())
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::{clean, follow, relative};

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean("./a//b/./c/"), Ok("a/b/c".into()));
        assert_eq!(clean("./"), Ok(String::new()));
    }

    #[test]
    fn names_that_leave_the_root_are_refused() {
        for name in ["/etc/passwd", "../x", "a/../../b", "a/.."] {
            assert!(clean(name).is_err(), "{name}");
        }
    }

    #[test]
    fn relative_links_lead_to_their_target() {
        assert_eq!(relative("a/b", "a/c"), "c");
        assert_eq!(relative("a/b/c", "x/y"), "../../x/y");
    }

    #[test]
    fn links_are_followed_inside_the_root_only() {
        assert_eq!(follow("lib", "usr/lib"), Ok("usr/lib".into()));
        assert_eq!(follow("usr/a/b", "../c"), Ok("usr/c".into()));
        assert!(follow("a/b", "../../etc").is_err());
        assert!(follow("a", "/etc").is_err());
    }
}
