//! Config-files that are generated for measuring: large ones, and hostile ones of 1 MiB.

use std::io::Write;

use anyhow::Result;

const HEAD: &str = "version: 1.0
operatingSystem:
  users: [{username: root, password: c2VjcmV0}]
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec:
    template:
      spec:
";

/// Size of a hostile input in bytes, the most that must be read without delay.
pub const HOSTILE_SIZE: usize = 1 << 20;

/// Writes a valid config-file with `count` files of `size` bytes each. It is written piece by piece, because the
/// memory of this process is counted in the measured one's.
pub fn many_files(out: &mut dyn Write, count: usize, size: usize) -> Result<()> {
    writeln!(out, "{HEAD}        files:")?;
    for file in 0..count {
        writeln!(out, "          - path: /etc/bench/file-{file:04}.conf")?;
        writeln!(out, "            content: |")?;
        let (mut written, mut line) = (0, 0);
        while written < size {
            let text = format!("setting-{line:05} = \"value {file} of {line}\"  # with a comment");
            let text = &text[..text.len().min(size - written - 1)];
            writeln!(out, "              {text}")?;
            written += text.len() + 1;
            line += 1;
        }
    }
    Ok(())
}

/// A name, and what makes the text.
type Input = (&'static str, fn() -> String);

/// Inputs of 1 MiB, each hard on a reader in its own way.
pub const HOSTILE: &[Input] = &[
    ("commands", || {
        filled(&format!("{HEAD}        preK3sCommands:\n"), |n| {
            format!("        - c{n:011}\n")
        })
    }),
    // About as many as the limit of values lets through.
    ("16,500 files in one line", || {
        let files: String = (0..16_500)
            .map(|n| format!("{{path: /etc/{n:030}}}, "))
            .collect();
        filled(&format!("{HEAD}        files: [{files}]\n"), |_| {
            "#\n".to_owned()
        })
    }),
    ("unknown keys in one line", || {
        filled("{", |n| format!("key{n}: 1, "))
    }),
    ("aliases", || {
        filled("a: &a [x, x, x, x, x, x, x, x]\nb: [", |_| {
            "*a, ".to_owned()
        })
    }),
    ("escapes", || {
        filled(&format!("{HEAD}        version: \""), |_| {
            "\\u00e4".to_owned()
        })
    }),
    ("comments", || filled("", |n| format!("# {n}\n"))),
    ("brackets", || filled("", |_| "[".to_owned())),
    ("noise", noise),
];

fn filled(head: &str, part: impl Fn(usize) -> String) -> String {
    let mut out = String::with_capacity(HOSTILE_SIZE);
    out.push_str(head);
    let mut n = 0;
    while out.len() < HOSTILE_SIZE - 16 {
        out.push_str(&part(n));
        n += 1;
    }
    out
}

/// YAML's own characters in no order, the same in every run (Knuth's MMIX constants).
fn noise() -> String {
    let characters: Vec<char> = " \n\t:-[]{}&*!|>'\"%@`#,?~a0\u{e4}".chars().collect();
    let mut number = 1_u64;
    let mut out = String::with_capacity(HOSTILE_SIZE);
    while out.len() < HOSTILE_SIZE - 16 {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.push(characters[(number >> 33) as usize % characters.len()]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_have_the_size_asked_for() -> Result<()> {
        let mut text = vec![];
        many_files(&mut text, 2, 10 * 1024)?;
        let content: usize = String::from_utf8(text)?
            .lines()
            .filter_map(|line| line.strip_prefix("              "))
            .map(|line| line.len() + 1)
            .sum();
        assert_eq!(content, 2 * 10 * 1024);
        Ok(())
    }

    #[test]
    fn hostile_inputs_are_of_a_mebibyte() {
        for (name, make) in HOSTILE {
            let size = make().len();
            assert!(
                (HOSTILE_SIZE - 16..=HOSTILE_SIZE).contains(&size),
                "{name}: {size}"
            );
        }
    }
}
