//! Templates and whether Go's text/template parses them, as Go itself said.

use super::check_template;

#[test]
fn accepts_what_go_accepts() {
    for text in [
        "no action",
        "}} no action",
        "{{ template \"base\" . }}",
        "{{template `base` .}}",
        "{{- template \"base\" . -}}",
        "{{ template \"base\" }}",
        "{{ template \"base\" .A.B }}",
        "{{ template \"base\" (index .A 1) }}",
        "{{ template \"base\" . | toJson }}",
        "{{ template \"base\" $ }}",
        "{{/* a }} comment */}}",
        "{{- /* a comment */ -}}",
        "{{ if .NodeConfig.Containerd }}x{{ else if not .DisableCgroup }}y{{ end }}",
        "{{ if .A }}{{ else if .B }}{{ else }}{{ end }}",
        "{{if(.A)}}{{end}}",
        "{{ with .A }}{{ else with .B }}{{ end }}",
        "{{ range .A }}{{ break }}{{ continue }}{{ else }}{{ end }}",
        "{{ range $name, $runtime := .ExtraRuntimes }}{{ $name | printf \"%q\" }}{{ end }}",
        "{{ range 10 }}{{ end }}",
        "{{ define \"mine\" }}x{{ end }}{{ template \"mine\" . }}",
        "{{ block \"b\" . }}x{{ end }}",
        "{{ with $x := (index .ExtraRuntimes \"a\") }}{{ toJson $x }}{{ end }}",
        "{{ $x := .A }}{{ $x = 2 }}{{ $x }}",
        "{{ if $x := .A }}{{ $x.B }}{{ end }}",
        "{{ . }}{{.}}{{ $ }}{{ $.A }}{{.A.B}}{{ (.A).B }}",
        "{{ 1 }}{{ -1 }}{{ 1.5e3 }}{{ 1e-3 }}{{ 0x1F }}{{ 0b1 }}{{ 0o7 }}{{ 012 }}{{ 1_000 }}{{ .1 }}{{ 1i }}",
        "{{ 0 }}{{ 9 }}{{ 0.5 }}{{ 0xE }}{{ +1 }}",
        "{{ 'a' }}{{ '\\n' }}{{ true }}{{ \"a\\\"b\\x41\\101\\u00e9\\U0001f600\" }}{{ `a\nb` }}",
        "{{ .A\n }}",
        "{{ \"}}\" }}",
        " {{- \"a\" -}} {{- 3}} {{-3}}",
    ] {
        assert!(
            check_template(text).is_ok(),
            "{text}: {:?}",
            check_template(text)
        );
    }
}

#[test]
fn refuses_what_go_refuses() {
    for text in [
        "{{ template \\\"base\\\" . }}",
        "{{ template 'base' . }}",
        "{{ template base . }}",
        "{{ template \"bass\" . }}",
        "{{ template \"base\" .",
        "{{template\"base\".}}",
        "{{template \"base\".\"x\"}}",
        "{{-template \"base\" .}}",
        "{{ }}",
        "{{}}",
        "{{ end }}",
        "{{ if .A }}{{ end x }}",
        "{{ if .A }}",
        "{{ if }}x{{ end }}",
        "{{ else }}",
        "{{ if .A }}x{{ else }}y{{ else }}z{{ end }}",
        "{{ with .A }}{{ else if .B }}{{ end }}",
        "{{ if .A }}{{ else with .B }}{{ end }}",
        "{{ if .A }}{{ define \"a\" }}x{{ end }}{{ end }}",
        "{{ define a }}x{{ end }}",
        "{{ define \"a\" }}x",
        "{{ define \"a\" }}x{{ else }}{{ end }}",
        "{{ block \"b\" }}x{{ end }}",
        "{{ break }}",
        "{{ range .A }}{{ break x }}{{ end }}",
        "{{ range .A }}{{ end }}{{ continue }}",
        "{{ nosuch .A }}",
        "{{ _x }}",
        "{{ $x }}",
        "{{ range $i := .A }}{{ $i }}{{ end }}{{ $i }}",
        "{{ range $a, $b, $c := .A }}{{ end }}",
        "{{ range $a, .B }}{{ end }}",
        "{{ $a, $b := .A }}",
        "{{ $x := 1 }}{{ define \"a\" }}{{ $x }}{{ end }}",
        "{{ \"open }}\n",
        "{{ `open }}\n",
        "{{ \"a\\qb\" }}",
        "{{ \"a\\x4\" }}",
        "{{ 'ab' }}",
        "{{/* open }}",
        "{{/* c */ x}}",
        "{{ /* c */ }}",
        "{{.A.}}",
        "{{ ..A }}",
        "{{ \"x\".A }}",
        "{{ .A\"x\" }}",
        "{{ | toJson }}",
        "{{ .A | 3 }}",
        "{{ \"x\" | \"y\" }}",
        "{{ (.A }}",
        "{{ .A) }}",
        "{{ .A , .B }}",
        "{{ .A + 1 }}",
        "{{ .A-1 }}",
        "{{ .A : 1 }}",
        "{{ 08 }}",
        "{{ 1x }}",
        "{{ 0x }}",
        "{{ .1x }}",
        "{{ +inf }}",
        "{{ $x : .A }}",
    ] {
        assert!(check_template(text).is_err(), "{text}");
    }
}

#[test]
fn tells_which_templates_are_included() {
    let template = check_template("{{ template \"base\" . }}{{ define \"a\" }}base{{ end }}");
    let includes = template.map(|template| template.includes);
    assert_eq!(includes, Ok(vec!["base".to_owned()]));
}

/// The path of a field that K3s does not give, and the field that was meant.
fn unknown(text: &str) -> Option<(String, Option<&'static str>)> {
    let template = check_template(text).expect("a template");
    let found = template.unknown_field();
    found.map(|(path, _, near)| (path, near))
}

#[test]
fn finds_fields_that_k3s_does_not_give() {
    for (text, path, near) in [
        ("{{ .NodeConfg }}", ".NodeConfg", Some("NodeConfig")),
        ("{{ .Foo }}", ".Foo", None),
        (
            "{{ $.NodeConfig.SELinx }}",
            ".NodeConfig.SELinx",
            Some("SELinux"),
        ),
        (
            "{{ .NodeConfig.AgentConfig.Snapshoter }}",
            ".NodeConfig.AgentConfig.Snapshoter",
            Some("Snapshotter"),
        ),
        (
            "{{ .NodeConfig.Containerd.Rot }}",
            ".NodeConfig.Containerd.Rot",
            Some("Root"),
        ),
        (
            "{{ .PrivateRegistryConfig.Config }}",
            ".PrivateRegistryConfig.Config",
            Some("Configs"),
        ),
        ("{{ if .program }}{{ end }}", ".program", Some("Program")),
        (
            "{{ if .Program }}{{ .Programm }}{{ end }}",
            ".Programm",
            Some("Program"),
        ),
        ("{{ with .Nothing }}{{ end }}", ".Nothing", None),
        (
            "{{ with .Program }}{{ $.Nothing }}{{ end }}",
            ".Nothing",
            None,
        ),
        (
            "{{ with .Program }}{{ else }}{{ .Nothing }}{{ end }}",
            ".Nothing",
            None,
        ),
        (
            "{{ range .ExtraRuntimes }}{{ end }}{{ .Nothing }}",
            ".Nothing",
            None,
        ),
        (
            "{{ define \"a\" }}{{ end }}{{ .Nothing }}{{ $.Other }}",
            ".Nothing",
            None,
        ),
        (
            "{{ define \"a\" }}{{ end }}{{ $.Nothing }}",
            ".Nothing",
            None,
        ),
        ("{{ template \"base\" .Nothing }}", ".Nothing", None),
        ("{{ printf \"%q\" (index .Nothing 1) }}", ".Nothing", None),
    ] {
        assert_eq!(unknown(text), Some((path.to_owned(), near)), "{text}");
    }
}

#[test]
fn takes_fields_that_k3s_gives_or_that_are_of_something_else() {
    for text in [
        "{{ template \"base\" . }}",
        "{{ .NodeConfig }}{{ .NodeConfig.AgentConfig }}{{ $.Program }}",
        "{{ .NodeConfig.AgentConfig.Snapshotter }}{{ .NodeConfig.NoFlannel }}",
        "{{ .ExtraRuntimes.own.BinaryName }}{{ .NodeConfig.Flannel.Backend }}",
        "{{ range $name, $own := .ExtraRuntimes }}{{ .RuntimeType }}{{ $own.RuntimeType }}{{ end }}",
        "{{ with .PrivateRegistryConfig }}{{ range .Configs }}{{ .Auth }}{{ end }}{{ end }}",
        "{{ define \"a\" }}{{ .Own }}{{ $.Own }}{{ end }}",
        "{{ block \"a\" .Program }}{{ .Own }}{{ end }}",
        "{{ (index .ExtraRuntimes \"a\").BinaryName }}",
    ] {
        assert_eq!(unknown(text), None, "{text}");
    }
}

#[test]
fn says_what_is_wrong() {
    for (text, complaint) in [
        ("{{ $a, $b := .A }}", "too many variables"),
        ("{{ print if }}", "unexpected `if`"),
        ("{{ nosuch }}", "the function `nosuch` is not defined"),
        ("{{ $x }}", "the variable `$x` is not defined"),
        (
            "{{ template \"bass\" . }}",
            "the template `bass` is not defined",
        ),
        ("{{ if }}{{ end }}", "there is no value for the if"),
        ("{{ end }}", "`{{ end }}` without an open block"),
        ("{{ (.A }}", "a `(` is not closed"),
    ] {
        let checked = check_template(text).map(|template| template.includes);
        assert_eq!(checked, Err(complaint.to_owned()), "{text}");
    }
}

#[test]
fn nesting_and_length_have_limits() {
    let nested = |depth: usize| "{{ if . }}".repeat(depth) + &"{{ end }}".repeat(depth);
    assert!(check_template(&nested(99)).is_ok());
    assert!(check_template(&nested(100)).is_err());
    let inside = |depth: usize| format!("{{{{ {}.{} }}}}", "(".repeat(depth), ")".repeat(depth));
    assert!(check_template(&inside(99)).is_ok());
    assert!(check_template(&inside(100)).is_err());
    // Depth is given back.
    assert!(check_template(&(inside(60) + &inside(60) + &nested(60) + &nested(60))).is_ok());
    assert!(check_template(&"{{ . }}".repeat(10_000)).is_ok());
    assert!(check_template(&"{{ . }}".repeat(10_001)).is_err());
}
