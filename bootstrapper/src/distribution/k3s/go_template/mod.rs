//! A check of Go text/template syntax by Go's own grammar (text/template/parse, parse.go). K3s parses containerd's
//! templates with template.Must, so that any fault is a crash loop.

mod fields;
mod lex;

use lex::{Token, actions};

/// Functions of text/template and of K3s.
const FUNCTIONS: &[&str] = &[
    "and",
    "call",
    "deschemify",
    "eq",
    "filepathjoin",
    "ge",
    "gt",
    "html",
    "index",
    "js",
    "le",
    "len",
    "lt",
    "ne",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "slice",
    "toJson",
    "urlquery",
];
const KEYWORDS: &[&str] = &[
    "block", "break", "continue", "define", "else", "end", "if", "range", "template", "with",
];

/// Most actions and deepest nesting that are looked at: more is no template that a person wrote.
const MAX_ACTIONS: usize = 10_000;
const MAX_DEPTH: usize = 100;

/// What a template is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// The names of the templates that it includes.
    pub(super) includes: Vec<String>,
    /// The fields that it takes of what it is filled in with, each as its path.
    paths: Vec<Vec<String>>,
}

impl Template {
    /// The first path with a field that K3s does not give, that field, and the known one that was meant.
    pub(super) fn unknown_field(&self) -> Option<(String, &str, Option<&'static str>)> {
        self.paths.iter().find_map(|path| {
            let (name, near) = fields::unknown(path)?;
            Some((format!(".{}", path.join(".")), name, near))
        })
    }
}

/// What the template is made of, or why Go would not parse it.
pub(super) fn check_template(text: &str) -> Result<Template, String> {
    let actions = actions(text)?;
    if actions.len() > MAX_ACTIONS {
        return Err(format!("it has more than {MAX_ACTIONS} actions"));
    }
    let mut parser = Parser {
        actions: actions.iter(),
        action: Action { rest: &[] },
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        defined: vec!["base".to_owned()],
        used: vec![],
        is_main: true,
        is_root: true,
        paths: vec![],
    };
    if let Some(end) = parser.list(true)? {
        return Err(format!("`{{{{ {end} }}}}` without an open block"));
    }
    let mut used = parser.used.iter();
    match used.find(|name| !parser.defined.contains(name)) {
        Some(name) => Err(format!("the template `{name}` is not defined")),
        None => Ok(Template {
            includes: parser.used,
            paths: parser.paths,
        }),
    }
}

/// What is left of an action.
#[derive(Clone, Copy)]
struct Action<'a> {
    rest: &'a [Token],
}

impl<'a> Action<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.rest.first()
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.next();
        }
    }
}

struct Parser<'a> {
    actions: std::slice::Iter<'a, Vec<Token>>,
    action: Action<'a>,
    variables: Vec<String>,
    /// Depth of `range`, in which `break` and `continue` may stand.
    ranges: usize,
    /// Depth of blocks and parentheses.
    depth: usize,
    defined: Vec<String>,
    used: Vec<String>,
    /// Whether `$` is what K3s fills in with, and whether `.` is.
    is_main: bool,
    is_root: bool,
    paths: Vec<Vec<String>>,
}

/// What may end a list of actions.
type End = &'static str;

impl Parser<'_> {
    /// Actions up to an `end` or `else`, or to the end of the text, which ends the outermost list only.
    fn list(&mut self, outermost: bool) -> Result<Option<End>, String> {
        self.deeper()?;
        let end = self.actions_of_list(outermost);
        self.depth -= 1;
        end
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(format!("it is nested deeper than {MAX_DEPTH} levels")),
            false => Ok(()),
        }
    }

    fn actions_of_list(&mut self, outermost: bool) -> Result<Option<End>, String> {
        while let Some(tokens) = self.actions.next() {
            self.action = Action { rest: tokens };
            self.action.skip_space();
            let Some(Token::Word(word)) = self.action.peek() else {
                self.pipeline("command", false)?;
                continue;
            };
            if !KEYWORDS.contains(&word.as_str()) {
                self.pipeline("command", false)?;
                continue;
            }
            self.action.next();
            match word.as_str() {
                "end" => return self.nothing_more("end").map(|()| Some("end")),
                "else" => return Ok(Some("else")),
                "if" => self.control("if")?,
                "range" => self.control("range")?,
                "with" => self.control("with")?,
                "template" => self.template()?,
                "block" => self.block()?,
                "define" if outermost => self.define()?,
                "define" => return Err("`{{ define }}` inside another block".to_owned()),
                jump => self.jump(jump)?,
            }
        }
        if outermost {
            return Ok(None);
        }
        Err("a block has no `{{ end }}`".to_owned())
    }

    fn nothing_more(&mut self, word: &str) -> Result<(), String> {
        self.action.skip_space();
        match self.action.peek() {
            None => Ok(()),
            Some(_) => Err(format!("unexpected words after `{word}`")),
        }
    }

    fn jump(&mut self, word: &str) -> Result<(), String> {
        if self.ranges == 0 {
            return Err(format!("`{{{{ {word} }}}}` outside of a range"));
        }
        self.nothing_more(word)
    }

    /// The quoted name of a template.
    fn name(&mut self, of: &str) -> Result<String, String> {
        self.action.skip_space();
        match self.action.next() {
            Some(Token::Text(name)) => Ok(name.clone()),
            _ => Err(format!("`{of}` needs a name in double quotes")),
        }
    }

    fn template(&mut self) -> Result<(), String> {
        let name = self.name("template")?;
        self.used.push(name);
        self.action.skip_space();
        if self.action.peek().is_some() {
            self.pipeline("template clause", false)?;
        }
        Ok(())
    }

    fn block(&mut self) -> Result<(), String> {
        let name = self.name("block")?;
        self.defined.push(name);
        self.pipeline("block clause", false)?;
        self.definition()
    }

    fn define(&mut self) -> Result<(), String> {
        let name = self.name("define")?;
        self.defined.push(name);
        self.nothing_more("define")?;
        self.definition()
    }

    /// The text of a template of its own, with variables of its own.
    fn definition(&mut self) -> Result<(), String> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let data = (self.is_main, self.is_root);
        (self.is_main, self.is_root) = (false, false);
        let end = self.list(false)?;
        (self.variables, self.ranges) = (outer, ranges);
        (self.is_main, self.is_root) = data;
        match end {
            Some("end") => Ok(()),
            _ => Err("`{{ else }}` without an open if, range or with".to_owned()),
        }
    }

    fn control(&mut self, context: &'static str) -> Result<(), String> {
        let variables = self.variables.len();
        self.pipeline(context, false)?;
        let is_range = usize::from(context == "range");
        self.ranges += is_range;
        let is_root = self.is_root;
        self.is_root &= context == "if";
        let end = self.list(false)?;
        self.is_root = is_root;
        self.ranges -= is_range;
        if end == Some("else") {
            self.otherwise(context)?;
        }
        self.variables.truncate(variables);
        Ok(())
    }

    /// What follows `else`: a condition of the same kind, or a list up to `end`.
    fn otherwise(&mut self, context: &'static str) -> Result<(), String> {
        self.action.skip_space();
        if context != "range" && self.action.peek() == Some(&Token::Word(context.to_owned())) {
            self.action.next();
            return self.control(context);
        }
        self.nothing_more("else")?;
        match self.list(false)? {
            Some("end") => Ok(()),
            _ => Err("a second `{{ else }}`".to_owned()),
        }
    }

    /// Commands with `|` between, up to the end of the action or to the parenthesis that closes.
    fn pipeline(&mut self, context: &str, inside: bool) -> Result<(), String> {
        self.declarations(context)?;
        let mut commands = 0;
        loop {
            self.action.skip_space();
            match self.action.peek() {
                None if inside => return Err("a `(` is not closed".to_owned()),
                None => break,
                Some(Token::Close) if inside => {
                    self.action.next();
                    break;
                }
                _ => {}
            }
            let starts_with_a_value = self.command()?;
            if commands > 0 && starts_with_a_value {
                return Err("what follows a `|` must be a function".to_owned());
            }
            commands += 1;
        }
        match commands {
            0 => Err(format!("there is no value for the {context}")),
            _ => Ok(()),
        }
    }

    /// `$x :=`, `$x =`, and of a range also `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Result<(), String> {
        for count in 0.. {
            self.action.skip_space();
            let mut ahead = self.action;
            let Some(Token::Variable(name)) = ahead.next() else {
                return Ok(());
            };
            ahead.skip_space();
            match ahead.next() {
                Some(Token::Assign) => {
                    self.variables.push(name.clone());
                    self.action = ahead;
                    return Ok(());
                }
                Some(Token::Comma) if context == "range" && count == 0 => {
                    self.variables.push(name.clone());
                    self.action = ahead;
                    ahead.skip_space();
                    if !matches!(ahead.peek(), Some(Token::Variable(_)) | None) {
                        return Err("range can only set variables".to_owned());
                    }
                }
                Some(Token::Comma) => return Err("too many variables".to_owned()),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Operands with blanks between; whether the first is a plain value.
    fn command(&mut self) -> Result<bool, String> {
        let first = self.action.peek();
        let is_value = matches!(
            first,
            Some(Token::Dot | Token::Constant | Token::Nil | Token::Text(_))
        );
        let mut operands = 0;
        loop {
            self.action.skip_space();
            operands += usize::from(self.operand()?);
            match self.action.peek() {
                Some(Token::Space) => continue,
                Some(Token::Pipe) => {
                    self.action.next();
                }
                None | Some(Token::Close) => {}
                Some(_) => return Err("two operands without a space between".to_owned()),
            }
            break;
        }
        match operands {
            0 => Err("an operand is missing".to_owned()),
            _ => Ok(is_value),
        }
    }

    /// One operand with the fields behind it; whether there is one.
    fn operand(&mut self) -> Result<bool, String> {
        let takes_fields = match self.action.peek() {
            Some(Token::Word(word)) if KEYWORDS.contains(&word.as_str()) => {
                return Err(format!("unexpected `{word}`"));
            }
            Some(Token::Word(word)) if !FUNCTIONS.contains(&word.as_str()) => {
                return Err(format!("the function `{word}` is not defined"));
            }
            Some(Token::Variable(name)) if !self.variables.contains(name) => {
                return Err(format!("the variable `{name}` is not defined"));
            }
            Some(Token::Open) => {
                self.action.next();
                self.deeper()?;
                self.pipeline("parenthesis", true)?;
                self.depth -= 1;
                return self.fields(true).map(|()| true);
            }
            Some(Token::Word(_) | Token::Variable(_) | Token::Field(_)) => true,
            Some(Token::Dot | Token::Constant | Token::Nil | Token::Text(_)) => false,
            _ => return Ok(false),
        };
        self.path();
        self.action.next();
        self.fields(takes_fields).map(|()| true)
    }

    /// Keeps the fields that are taken here of what K3s fills in with.
    fn path(&mut self) {
        let mut ahead = self.action;
        let is_known = match ahead.peek() {
            Some(Token::Variable(name)) if name == "$" => ahead.next().is_some() && self.is_main,
            _ => self.is_root,
        };
        let mut path = vec![];
        while let Some(Token::Field(name)) = ahead.next() {
            path.push(name.clone());
        }
        if is_known && !path.is_empty() {
            self.paths.push(path);
        }
    }

    fn fields(&mut self, allowed: bool) -> Result<(), String> {
        while let Some(Token::Field(name)) = self.action.peek() {
            if !allowed {
                return Err(format!("unexpected `.{name}` after a value"));
            }
            self.action.next();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
