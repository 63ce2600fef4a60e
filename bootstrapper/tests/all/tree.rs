//! The document as a tree, which other programs look values up in: where each value stands, and what is too much to read.

use crate::support::read;
use cluster_bootstrapper::yaml::{
    Kind, MAX_BYTES, MAX_DEPTH, MAX_NODES, Pointer, Position, Tree, load,
};

const TEXT: &str = "\
flow: &x {quoted: 'c d', list: [1, 2]}
list:
  - one
  - block: |
      text
      more

nothing:
again: *x
last:
  key: value

# the end
";

fn tree(text: &str) -> Tree {
    let (tree, duplicates) = load(text).expect("YAML");
    assert!(duplicates.is_empty(), "{duplicates:?}");
    tree
}

fn code(text: &str) -> Option<&'static str> {
    load(text).err().map(|error| error.code.as_str())
}

#[test]
fn a_value_is_found_by_its_pointer_with_its_place() {
    let tree = tree(TEXT);
    assert_eq!(tree.source(), TEXT);
    for (pointer, text) in [
        ("/flow", "{quoted: 'c d', list: [1, 2]}"),
        ("/flow/quoted", "'c d'"),
        ("/flow/list", "[1, 2]"),
        ("/flow/list/1", "2"),
        ("/list", "- one\n  - block: |\n      text\n      more"),
        ("/list/1", "block: |\n      text\n      more"),
        ("/nothing", ""),
        ("/again", "{quoted: 'c d', list: [1, 2]}"),
        ("/last", "key: value"),
        ("", TEXT.trim_end().trim_end_matches("# the end").trim_end()),
    ] {
        let span = tree.span(&Pointer::from(pointer));
        assert_eq!(span.map(|span| &TEXT[span]), Some(text), "{pointer}");
    }
    for pointer in ["/none", "/flow/quoted/none", "/list/2", "/list/one"] {
        assert_eq!(tree.find(&Pointer::from(pointer)), None, "{pointer}");
    }
}

#[test]
fn a_finding_points_at_the_value_or_the_nearest_key() {
    let tree = tree(TEXT);
    for (pointer, text) in [
        // A scalar itself, of several lines the first.
        ("/flow/quoted", "'c d'"),
        ("/list/0", "one"),
        ("/list/1/block", "text"),
        // The key of a collection, of a value that was left out, and of what is looked for in vain inside.
        ("/flow", "flow"),
        ("/nothing", "nothing"),
        ("/flow/none", "flow"),
        ("/flow/quoted/none", "quoted"),
        // What has no key: its first line.
        ("/list/1", "block: |"),
        ("/none", "flow: &x {quoted: 'c d', list: [1, 2]}"),
    ] {
        let span = tree.nearest_span(&Pointer::from(pointer));
        assert_eq!(&TEXT[span], text, "{pointer}");
    }
}

#[test]
fn an_entry_has_the_place_of_its_key() {
    let tree = tree(TEXT);
    let entry = tree.entry(&Pointer::from("/flow/list")).expect("there");
    assert_eq!(
        (entry.key.as_str(), entry.key_span.clone()),
        ("list", 25..29)
    );
    assert_eq!(tree.entry(&Pointer::from("/list/0")), None);
    assert_eq!(tree.entry(&Pointer::root()), None);
}

#[test]
fn a_key_with_a_slash_or_a_tilde_is_escaped_in_a_pointer() {
    let tree = tree("a/b: {m~n: x}\n");
    let pointer = Pointer::root().join("a/b").join("m~n");
    assert_eq!(pointer.as_str(), "/a~1b/m~0n");
    assert_eq!(pointer.parent(), Some(Pointer::from("/a~1b")));
    assert_eq!(Pointer::root().parent(), None);
    assert_eq!(tree.span(&pointer), Some(11..12));
}

#[test]
fn null_is_only_what_is_written_plain() {
    for (text, null) in [
        ("", true),
        ("~", true),
        ("null", true),
        ("Null", true),
        ("NULL", true),
        ("nULL", false),
        ("''", false),
        ("'~'", false),
        ("\"null\"", false),
        ("{}", false),
    ] {
        let tree = tree(&format!("a: {text}\n"));
        let id = tree.find(&Pointer::from("/a")).expect("there");
        assert_eq!(tree.is_null(id), null, "{text}");
    }
}

#[test]
fn a_place_is_counted_in_lines_and_characters() {
    let tree = tree("a\u{e9}c\n\u{20ac}d");
    // The second byte of a character, and the end of the text, are places too.
    for (offset, line, column) in [
        (0, 1, 1),
        (1, 1, 2),
        (2, 1, 2),
        (3, 1, 3),
        (4, 1, 4),
        (5, 2, 1),
        (6, 2, 1),
        (7, 2, 1),
        (8, 2, 2),
        (9, 2, 3),
        (99, 2, 3),
    ] {
        assert_eq!(tree.position(offset), Position { line, column }, "{offset}");
    }
}

#[test]
fn the_core_tags_say_nothing_new() {
    let tree = tree("a: !!str 0644\n");
    let id = tree.find(&Pointer::from("/a")).expect("there");
    let Kind::Scalar { text, .. } = &tree.node(id).kind else {
        panic!("no scalar: {:?}", tree.node(id));
    };
    assert_eq!(text, "0644");
}

#[test]
fn the_deepest_nesting_is_read_and_one_more_is_refused() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(code(&nested(MAX_DEPTH)), None);
    assert_eq!(code(&nested(MAX_DEPTH + 1)), Some("too-deep"));
}

#[test]
fn the_most_values_are_read_and_one_more_is_refused() {
    // A list counts as one and each alias as all it stands for: 100 a time.
    let list = format!("&a [{}0]", "0, ".repeat(98));
    let whole = (MAX_NODES - 1) / 100;
    let rest = (MAX_NODES - 1) % 100;
    let text = |more: usize| {
        let aliases = "- *a\n".repeat(whole - 1);
        format!("- {list}\n{aliases}{}", "- 0\n".repeat(rest + more))
    };
    assert_eq!(code(&text(0)), None);
    assert_eq!(code(&text(1)), Some("too-large"));
}

#[test]
fn the_largest_text_is_looked_at_and_one_byte_more_is_refused() {
    // The size is looked at before anything else, a NUL character next.
    let text = |bytes: usize| format!("\0{}", " ".repeat(bytes - 1));
    assert_eq!(code(&text(MAX_BYTES)), Some("yaml-syntax"));
    assert_eq!(code(&text(MAX_BYTES + 1)), Some("too-large"));
}

#[test]
fn a_text_that_cannot_be_read_is_told_why() {
    let tab = "a tab cannot indent a line";
    for (text, message, help) in [
        ("", "the document has no content", None),
        ("a: b\n\tc: d\n", tab, Some("use spaces")),
        (
            "a: \0\n",
            "a NUL character is not allowed in YAML",
            Some("remove it; a file with several may not be saved as UTF-8"),
        ),
        (
            "a: !x b\n",
            "! starts a tag of YAML, which has no meaning here",
            Some("put the whole string in quotes"),
        ),
        (
            "? [a]\n: b\n",
            "a key must be plain text, not an alias, a list or a mapping",
            Some("write `key: value`; a string that starts with a bracket needs quotes"),
        ),
    ] {
        let error = load(text).expect_err("refused");
        assert_eq!(
            (error.message.as_str(), error.help.as_deref()),
            (message, help),
            "{text}"
        );
    }
    let (_, duplicates) = load("a: b\nc: d\na: e\n").expect("YAML");
    let found: Vec<_> = duplicates.iter().map(|error| error.span.start).collect();
    assert_eq!(found, [10]);
}

#[test]
fn the_text_is_kept_whether_it_is_yaml_or_not() {
    for text in ["a: [\n", "a: b\n"] {
        assert_eq!(read(text).source(), text);
    }
}

#[test]
fn the_k3s_configuration_has_a_pointer_in_either_place() {
    for (text, pointer) in [
        ("a: [\n", None),
        (
            "kubernetes: {spec: {template: {spec: {files: []}}}}\n",
            Some("/kubernetes/spec/template/spec"),
        ),
        (
            "kubernetes: {spec: {template: {spec: {kthreesConfigSpec: {}}}}}\n",
            Some("/kubernetes/spec/template/spec/kthreesConfigSpec"),
        ),
    ] {
        let parsed = read(text);
        let found = parsed.k3s_pointer();
        assert_eq!(found.map(|at| at.to_string()).as_deref(), pointer, "{text}");
    }
}

#[test]
fn a_key_is_found_in_a_mapping_of_any_size() {
    for count in [31, 32, 33, 1000] {
        let keys: String = (0..count).map(|n| format!("k{n}: {{v: {n}}}\n")).collect();
        // Of a key that is there twice the first counts.
        let text = format!("{keys}k7: {{v: again}}\n");
        let (tree, _) = load(&text).expect("YAML");
        for n in [0, 7, count - 1] {
            let span = tree
                .span(&format!("/k{n}/v").as_str().into())
                .expect("there");
            assert_eq!(text[span], n.to_string());
            let entry = tree
                .entry(&format!("/k{n}").as_str().into())
                .expect("there");
            assert_eq!(text[entry.key_span.clone()], format!("k{n}"));
        }
        assert!(tree.find(&format!("/k{count}").as_str().into()).is_none());
    }
}
