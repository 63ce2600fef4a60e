//! What is said of a text that is not YAML: one test a slip. `«` and `»` stand around the cause.

use diagnostics::yaml::load;

/// The text, and a part of the message.
#[track_caller]
fn says(marked: &str, message: &str) {
    let text = marked.replace(['\u{ab}', '\u{bb}'], "");
    let error = load(&text).expect_err("accepted");
    let (start, end) = (error.span.start, error.span.end);
    let found = format!(
        "{}\u{ab}{}\u{bb}{}",
        &text[..start],
        &text[start..end],
        &text[end..]
    );
    assert_eq!(found, marked, "{error:?}");
    assert!(error.message.contains(message), "{error:?}");
    assert!(error.help.is_some(), "no help: {error:?}");
}

macro_rules! causes {
    ($($name:ident: $text:literal => $message:literal;)+) => {$(
        #[test]
        fn $name() {
            says($text, $message);
        }
    )+};
}

causes! {
    a_colon_is_missing: "a: 1\n«b»\nc: 2\n" => "no colon";
    a_colon_is_missing_before_a_value: "a: 1\n«b» 2\nc: 3\n" => "no colon";
    a_colon_is_missing_before_a_level: "a: 1\n«b»\n  c: 2\n" => "no colon";
    a_text_with_a_bracket_lacks_no_colon: "a: 1\n«»b(c)\nd: 2\n" => "not valid YAML: simple key expected";
    a_colon_is_missing_in_a_list_element: "a:\n- b: 1\n  «c» 2\n  d: 3\n" => "no colon";
    a_space_is_missing_behind_a_colon: "a: 1\nb«:»2\nc: 3\n" => "no space behind the colon";
    a_space_is_missing_before_a_quote: "a: 1\nb«:»\"2\"\nc: 3\n" => "no space behind the colon";
    a_space_is_missing_behind_a_quoted_key: "a: 1\n\"b\"«:»2\nc: 3\n" => "no space behind the colon";
    two_quotes_are_one_in_a_text: "a: 'it''s«'» x\nb: 1\n" => "is closed here";
    a_space_is_missing_behind_a_dash: "a:\n- b: 1\n«-»c\nd: 2\n" => "no space behind the `-`";
    an_equals_sign_stands_for_a_colon: "a: 1\nb«=»2\nc: 3\n" => "= stands behind a key";
    a_value_has_no_key: "a: 1\n«http://b/c»\nd: 2\n" => "without a key";
    a_second_colon_is_in_a_text: "a: b«:» c\nd: 1\n" => "a second `: `";
    a_double_quote_is_open: "a: «\"»b\nc: 1\nd: 2\n" => "not closed";
    a_single_quote_is_open: "a: «'»b\nc: 1\nd: 2\n" => "not closed";
    an_open_quote_swallows_lines_up_to_the_next: "a: «'»b\nc: 1\nd: |\n  it's\ne: 2\n" => "not closed";
    an_open_quote_is_in_a_list: "a:\n- «\"»b\n- c\nd: \"e\"\n" => "not closed";
    a_quote_is_closed_too_early: "a: \"b «\"»c\" d\"\ne: 1\n" => "is closed here";
    an_apostrophe_closes_a_quote: "a: 'don«'»t'\nb: 1\n" => "is closed here";
    a_comma_stands_behind_a_quoted_value: "\"a\": \"b«\"»,\n\"c\": \"d\"\n" => "is closed here";
    a_backslash_escapes_nothing: "a: \"C:«\\w»indows\"\nb: 1\n" => "escapes no sign";
    a_tab_indents: "a:\n«»\tb: 1\n" => "a tab";
    a_tab_indents_behind_spaces: "a:\n  b: 1\n «»\tc: 2\n" => "a tab";
    a_tab_indents_in_a_block: "a: |\n  b\n«»\tc\nd: 1\n" => "a tab";
    a_tab_indents_behind_a_space_in_a_block: "a: |\n  b\n «»\tc\nd: 1\n" => "a tab";
    a_no_break_space_indents: "a:\n  b: 1\n«\u{a0}»\u{a0}c: 2\n  d: 3\n" => "no-break space";
    an_odd_space_follows_a_colon: "a:\n- b:«\u{3000}»1\n  c: 2\n" => "an odd space";
    a_no_break_space_follows_a_colon: "a:\n- b:«\u{a0}»1\n  c: 2\n" => "no-break space";
    a_dash_is_typographic: "a:\n- b: 1\n«\u{2013}» c: 2\n  d: 3\n" => "typographic dash";
    a_bullet_stands_for_a_dash: "a:\n- b: 1\n«\u{2022}» c: 2\n  d: 3\n" => "typographic dash";
    a_quote_is_typographic: "a: «\u{201c}»b: c\u{201d}\nd: 1\n" => "typographic quote";
    a_colon_is_typographic: "a: 1\nb«\u{ff1a}»2\nc: 3\n" => "typographic colon";
    an_at_sign_begins_a_text: "a:\n- «@»daily b\n- c\n" => "cannot start with @";
    a_backquote_begins_a_text: "a: «`»b`\nc: 1\n" => "cannot start with `";
    a_percent_sign_begins_a_text: "a: «%»b\nc: 1\n" => "cannot start with %";
    an_alias_has_no_anchor: "a: «*»b\nc: 1\n" => "alias";
    an_anchor_has_no_value: "a: &b«»\nc: 1\n" => "anchor";
    a_tag_is_unknown: "a: «!»b c\nd: 1\n" => "tag";
    a_list_begins_in_the_line_of_its_key: "a: «-» b\nc: 1\n" => "a list cannot start";
    a_pipe_begins_a_command: "a:\n- «|» tee b\n- c\n" => "several lines";
    a_greater_than_begins_a_command: "a:\n- «>» /b\n- c\n" => "several lines";
    a_bracket_begins_a_command: "a:\n- «[» -f /b ] && c\n- d\n" => "more text follows";
    a_brace_is_open: "a: «{»b\nc: 1\nd: 2\n" => "{ starts a mapping, which is not closed";
    a_bracket_is_open: "a: «[»b, c\nd: 1\ne: 2\n" => "[ starts a list, which is not closed";
    a_bracket_is_open_over_lines: "{\"a\": «[»1,\n\"b\": 2}\n" => "";
    a_bracket_is_closed_by_another: "{\"a\": «[»1, 2}\n" => "not closed before the next";
    a_closing_bracket_begins_a_text: "a: «]»b\nc: 1\n" => "cannot start with ]";
    a_list_in_brackets_has_a_slip: "a: «[»b: c: d]\n" => "cannot be read";
    a_bracket_closes_nothing: "{\n\"a\": {\"b\": 1}}«}»\n" => "closes none";
    a_block_is_not_indented_behind_an_empty_line: "a:\n  b: |\n    c\n\n  «- d»\n  f: 1\n" => "not indented deeper";
    a_line_is_too_deep: "a: 1\n  «b: 2»\nc: 3\n" => "indented by 2";
    a_line_is_too_deep_above_another_slip: "a: 1\n  «b: 2»\nc: 3\nd: e: f\n" => "indented by 2";
    a_line_is_not_deep_enough: "a:\n  - b: 1\n   «c: 2»\n  - d: 3\n" => "indented by 3";
    a_line_comes_too_far_out: "a:\n    b: 1\n  «c: 2»\n" => "indented by 2";
    a_block_is_not_indented: "a:\n  b: |\n  «c d»\n  e: 1\n" => "not indented deeper";
    a_dash_is_missing: "a:\n  «b: 1»\n  - c: 2\n" => "no `- `";
    a_dash_is_missing_below_others: "a:\n  - b\n  «c»\n  - d: \n" => "";
    a_comma_is_missing: "{\n  «\"a\": 1»\n  \"b\": 2\n}\n" => "no comma";
    versions_are_in_conflict: "a: 1\n«<<<<<<<» HEAD\nb: 2\n=======\nb: 3\n>>>>>>> c\n" => "conflict";
    another_document_follows: "a: 1\n«---»\nb: 2\n" => "second YAML document";
}

/// A level moves with what is below it.
#[test]
fn a_level_is_moved_to_where_it_fits() {
    let error = load("a:\n      b: 1\n    c:\n     d: 2\n").expect_err("accepted");
    let help = error.help.unwrap_or_default();
    assert!(help.contains("by 6 spaces"), "{help}");
}

#[test]
fn what_to_do_depends_on_what_stands_behind_an_end() {
    for (text, wanted) in [
        ("\"a\": \"b\",\n\"c\": \"d\"\n", "remove the comma"),
        ("a: \"b\" c\n", "write \\\" for a quote"),
        ("a: 'b' c\n", "write '' for a quote"),
        ("a: [b: c: d]\n", "part its entries"),
        ("a: [b] c\n", "close the bracket"),
        ("a: [b\nc: 1\n", "close the bracket"),
    ] {
        let help = load(text).expect_err("accepted").help.unwrap_or_default();
        assert!(help.starts_with(wanted), "{help}");
    }
}

#[test]
fn a_large_text_with_an_error_at_its_end_is_read_only_a_few_times() {
    let text = "a: |\n".to_owned() + &"  b\n".repeat(270_000) + "c: \"d\n";
    let error = load(&text).expect_err("accepted");
    assert!(error.message.contains("quote"), "{error:?}");
}

#[test]
fn a_line_of_very_many_dashes_or_quotes_is_no_trouble() {
    for part in ["- ", "\\\"", "[", "'"] {
        let text = format!("{{a: \"{}\n: [", part.repeat(200_000));
        assert!(load(&text).is_err());
    }
}

#[test]
fn what_is_said_never_quotes_the_text() {
    for text in [
        "hunter2\nb: c\n",
        "a: *hunter2\n",
        "a: !hunter2 b\n",
        "? hunter2\n: [\n",
        "a: \"\\hunter2\n",
    ] {
        let error = load(text).expect_err("accepted");
        let said = format!("{} {:?}", error.message, error.help);
        assert!(!said.contains("hunter2"), "{said}");
    }
}
