//! Codes of a text that is no YAML, or more of it than is read.

crate::codes! {
    /// Why a document could not be read.
    pub enum YamlCode {
        DuplicateKey = "duplicate-key" [Error] "A key is in its mapping a second time",
            "Of two equal keys YAML readers take one or the other, so it is not known which value holds. Keep one. \
             In a list a second key of the same name often means that the `- ` of the next element is missing.",
            "# wrong\n- path: /etc/a\n  path: /etc/b\n# right\n- path: /etc/a\n- path: /etc/b";
        Empty = "empty" [Error] "The document has no content",
            "The file is empty, or has comments and blank lines only. Look whether the right file was given and \
             whether it was copied whole.";
        SeveralDocuments = "several-documents" [Error] "The file has more than one YAML document",
            "A line `---` starts another document, and only one is read: what follows would be ignored. Remove the \
             `---` and what does not belong into this file.";
        TooDeep = "too-deep" [Error] "Lists and mappings are nested too deep",
            "Values are nested deeper than 64 levels, which no valid file needs. Look for brackets that are opened \
             and not closed, or for a file that is no configuration.";
        TooLarge = "too-large" [Error] "The document is larger than is read",
            "The document has more than 32 MiB, or more than 50,000 values with its aliases expanded. It is not \
             read any further. Keep large content out of it.";
        YamlAlias = "yaml-alias" [Error] "An alias stands inside its own anchor",
            "`*name` stands for the value that has the anchor `&name`. Inside that value it would have no end. \
             Write the value out.";
        YamlAnchor = "yaml-anchor" [Error] "An anchor has no value",
            "`&` at the start of a value starts an anchor of YAML, and no value follows. If the `&` is part of a \
             text, put the whole string in quotes.",
            "# wrong\nargument: &b\n# right\nargument: \"&b\"";
        YamlKey = "yaml-key" [Error] "A key is not plain text",
            "An alias, a list or a mapping stands where a key is wanted. Write `key: value`; a string that starts \
             with `[` or `{` needs quotes.";
        YamlSyntax = "yaml-syntax" [Error] "The text is not YAML",
            "The text cannot be read as YAML, so nothing in it can be used or checked. The message names the likely \
             cause and the line where it starts: a quote or bracket that is not closed, a missing `:` or space, a \
             tab, an indentation that fits no line above. Correct that line and validate again: a later fault shows \
             only then.",
            "# wrong\nmessage: it's: here\n# right\nmessage: \"it's: here\"";
        YamlTag = "yaml-tag" [Error] "A string starts with `!`, which starts a tag of YAML",
            "YAML reads `!word` as the type of the value behind it, and such types have no meaning here. Put the \
             whole string in quotes.",
            "# wrong\nmessage: !ready\n# right\nmessage: \"!ready\"";
    }
}
