//! Whether an event filter is an expression of the Common Expression Language at all (contract 3.10
//! row 16, 3.10.6).
//!
//! The real provider compiles it. This checks what a compiler's parser checks: the grammar of the
//! language's specification, its literals, and the arguments of its macros. Names and types are not
//! looked up, since the reference provider has no events whose fields they could be (`docs/limits.md`).
//!
//! Precedence does not decide whether an expression is one, so operators of all ranks are read in one
//! loop. What recurses is brackets, up to [`MAX_DEPTH`].

use std::fmt;

/// How deep brackets may stand in each other.
pub const MAX_DEPTH: usize = 100;

/// Why an event filter is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {character}: {what}")]
pub struct BadFilter {
    /// Where, counted from 1.
    pub character: usize,
    /// What is wrong there.
    pub what: String,
}

/// Checks an event filter. The empty one passes: it filters nothing.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(expression: &str) -> Result<(), BadFilter> {
    if expression.is_empty() {
        return Ok(());
    }
    let characters: Vec<char> = expression.chars().collect();
    let tokens = Lexer { characters: &characters, at: 0 }.tokens()?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    parser.expression()?;
    match parser.peek() {
        Token::End => Ok(()),
        token => Err(parser.wrong(format!("{token} follows a whole expression"))),
    }
}

/// Words that stand for a value or an operator; no field can have such a name.
const KEYWORDS: [&str; 4] = ["false", "in", "null", "true"];

/// Words that no variable can have for a name, beside the keywords.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

/// The longer ones first.
const SYMBOLS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}", "=",
];

const BINARY: [&str; 13] = ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A name, a keyword included.
    Word(String),
    /// A signed integer without its sign; `None` = larger than 64 bits hold.
    Integer(Option<u64>),
    /// An unsigned integer or a floating-point number.
    Number,
    /// Text or bytes.
    Text,
    Symbol(&'static str),
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Integer(_) | Self::Number => f.write_str("a number"),
            Self::Text => f.write_str("a text"),
            Self::Symbol(symbol) => write!(f, "`{symbol}`"),
            Self::End => f.write_str("the end"),
        }
    }
}

struct Lexer<'a> {
    characters: &'a [char],
    at: usize,
}

impl Lexer<'_> {
    /// Each token with the character that it begins at.
    fn tokens(mut self) -> Result<Vec<(usize, Token)>, BadFilter> {
        let mut tokens = Vec::new();
        loop {
            self.skip_blank();
            let start = self.at;
            let token = self.token()?;
            let is_end = token == Token::End;
            tokens.push((start, token));
            if is_end {
                return Ok(tokens);
            }
        }
    }

    fn skip_blank(&mut self) {
        loop {
            if matches!(self.peek(0), Some(' ' | '\t' | '\n' | '\r' | '\u{c}')) {
                self.at += 1;
            } else if self.peek(0) == Some('/') && self.peek(1) == Some('/') {
                self.skip_while(|character| character != '\n');
            } else {
                return;
            }
        }
    }

    fn token(&mut self) -> Result<Token, BadFilter> {
        let Some(first) = self.peek(0) else { return Ok(Token::End) };
        if let Some(prefix) = self.text_prefix() {
            return self.text(prefix);
        }
        if is_word_start(first) {
            let start = self.at;
            self.skip_while(|character| is_word_start(character) || character.is_ascii_digit());
            return Ok(Token::Word(self.characters[start..self.at].iter().collect()));
        }
        let is_digit = |ahead| self.peek(ahead).is_some_and(|next| next.is_ascii_digit());
        if is_digit(0) || (first == '.' && is_digit(1)) {
            return self.number();
        }
        let starts = |symbol: &str| {
            symbol.chars().enumerate().all(|(index, wanted)| self.peek(index) == Some(wanted))
        };
        let symbol = SYMBOLS.into_iter().find(|symbol| starts(symbol)).ok_or_else(|| {
            self.wrong(self.at, &format!("`{}` has no meaning", first.escape_default()))
        })?;
        self.at += symbol.len();
        Ok(Token::Symbol(symbol))
    }

    fn number(&mut self) -> Result<Token, BadFilter> {
        let start = self.at;
        let is_hexadecimal = self.peek(0) == Some('0')
            && matches!(self.peek(1), Some('x'))
            && self.peek(2).is_some_and(|digit| digit.is_ascii_hexdigit());
        let mut digits = start;
        if is_hexadecimal {
            self.at += 2;
            digits = self.at;
            self.skip_while(|character| character.is_ascii_hexdigit());
        } else {
            self.skip_while(|character| character.is_ascii_digit());
            let has_fraction = self.peek(0) == Some('.')
                && self.peek(1).is_some_and(|digit| digit.is_ascii_digit());
            if has_fraction {
                self.at += 1;
                self.skip_while(|character| character.is_ascii_digit());
            }
            if self.skip_exponent() || has_fraction {
                return Ok(Token::Number);
            }
        }
        let radix = if is_hexadecimal { 16 } else { 10 };
        let digits: String = self.characters[digits..self.at].iter().collect();
        let value = u64::from_str_radix(&digits, radix).ok();
        if matches!(self.peek(0), Some('u' | 'U')) {
            self.at += 1;
            let too_large = || self.wrong(start, "the number is too large for 64 bits");
            return value.map(|_| Token::Number).ok_or_else(too_large);
        }
        Ok(Token::Integer(value))
    }

    fn skip_exponent(&mut self) -> bool {
        let sign = usize::from(matches!(self.peek(1), Some('+' | '-')));
        let is_exponent = matches!(self.peek(0), Some('e' | 'E'))
            && self.peek(1 + sign).is_some_and(|digit| digit.is_ascii_digit());
        if is_exponent {
            self.at += 1 + sign;
            self.skip_while(|character| character.is_ascii_digit());
        }
        is_exponent
    }

    /// If a text or bytes begin here: what stands before the quote.
    fn text_prefix(&self) -> Option<TextPrefix> {
        let is_bytes = matches!(self.peek(0), Some('b' | 'B'));
        let is_raw = matches!(self.peek(usize::from(is_bytes)), Some('r' | 'R'));
        let length = usize::from(is_bytes) + usize::from(is_raw);
        matches!(self.peek(length), Some('"' | '\'')).then_some(TextPrefix {
            is_bytes,
            is_raw,
            length,
        })
    }

    fn text(&mut self, prefix: TextPrefix) -> Result<Token, BadFilter> {
        let start = self.at;
        self.at += prefix.length;
        let quote = self.peek(0);
        let is_triple = self.peek(1) == quote && self.peek(2) == quote;
        let quotes = if is_triple { 3 } else { 1 };
        self.at += quotes;
        loop {
            let closes = (0..quotes).all(|ahead| self.peek(ahead) == quote);
            match self.peek(0) {
                _ if closes => {
                    self.at += quotes;
                    return Ok(Token::Text);
                }
                None => return Err(self.wrong(start, "a quote is not closed")),
                Some('\n' | '\r') if !is_triple => {
                    return Err(self.wrong(start, "a quote is not closed on its line"));
                }
                Some('\\') if !prefix.is_raw => self.escape(prefix.is_bytes)?,
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, is_bytes: bool) -> Result<(), BadFilter> {
        let start = self.at;
        let wrong = || self.wrong(start, "the escape sequence is none");
        let kind = self.peek(1).ok_or_else(wrong)?;
        let (from, length, radix) = match kind {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '?' | '"' | '\'' | '`' => {
                self.at += 2;
                return Ok(());
            }
            'x' | 'X' => (2, 2, 16),
            'u' if !is_bytes => (2, 4, 16),
            'U' if !is_bytes => (2, 8, 16),
            '0'..='3' => (1, 3, 8),
            _ => return Err(wrong()),
        };
        let digits = self.characters.get(start + from..start + from + length).ok_or_else(wrong)?;
        let mut value = 0_u32;
        for digit in digits {
            let digit = digit.to_digit(radix).ok_or_else(wrong)?;
            value = value.wrapping_mul(radix).wrapping_add(digit);
        }
        // Eight hexadecimal digits fill 32 bits, so nothing wraps.
        if !is_bytes && char::from_u32(value).is_none() {
            return Err(wrong());
        }
        self.at = start + from + length;
        Ok(())
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn wrong(&self, at: usize, what: &str) -> BadFilter {
        BadFilter { character: at + 1, what: what.to_owned() }
    }
}

#[derive(Clone, Copy)]
struct TextPrefix {
    is_bytes: bool,
    is_raw: bool,
    length: usize,
}

fn is_word_start(character: char) -> bool {
    character == '_' || character.is_ascii_alphabetic()
}

/// What an expression is to a macro that takes it as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A name alone.
    Name,
    /// A field of something.
    Field,
    /// Anything else.
    Other,
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Expr = ConditionalOr ["?" ConditionalOr ":" Expr], the last one in the loop.
    fn expression(&mut self) -> Result<Kind, BadFilter> {
        let mut is_conditional = false;
        loop {
            let kind = self.operands()?;
            if !self.eat("?") {
                return Ok(if is_conditional { Kind::Other } else { kind });
            }
            is_conditional = true;
            self.operands()?;
            self.expect(":")?;
        }
    }

    /// Unary {operator Unary}.
    fn operands(&mut self) -> Result<Kind, BadFilter> {
        let mut kind = self.unary()?;
        while self.eat_binary() {
            self.unary()?;
            kind = Kind::Other;
        }
        Ok(kind)
    }

    /// Unary = Member | "!" {"!"} Member | "-" {"-"} Member.
    fn unary(&mut self) -> Result<Kind, BadFilter> {
        let mut has_operator = false;
        while self.eat("!") {
            has_operator = true;
        }
        let mut is_negative = false;
        // After `!` a sign can only be a number's own.
        if !has_operator || matches!(self.peek_at(1), Token::Integer(_) | Token::Number) {
            while self.eat("-") {
                has_operator = true;
                is_negative = true;
            }
        }
        let kind = self.member(is_negative)?;
        Ok(if has_operator { Kind::Other } else { kind })
    }

    /// Member = Primary | Member "." SELECTOR ["(" [ExprList] ")"] | Member "[" Expr "]", and the
    /// message that a qualified name begins.
    fn member(&mut self, is_negative: bool) -> Result<Kind, BadFilter> {
        let (mut kind, mut is_qualified_name) = self.primary(is_negative)?;
        loop {
            if self.eat(".") {
                let name = self.word("the name of a field", &KEYWORDS, &[])?;
                kind = Kind::Field;
                if self.eat("(") {
                    self.call(&name, true)?;
                    (kind, is_qualified_name) = (Kind::Other, false);
                }
            } else if self.eat("[") {
                self.nested(Self::expression)?;
                self.expect("]")?;
                (kind, is_qualified_name) = (Kind::Other, false);
            } else if is_qualified_name && self.eat("{") {
                self.nested(Self::fields)?;
                (kind, is_qualified_name) = (Kind::Other, false);
            } else {
                return Ok(kind);
            }
        }
    }

    /// What it is, and whether it is a name that a message or another name can begin with.
    fn primary(&mut self, is_negative: bool) -> Result<(Kind, bool), BadFilter> {
        let other = Ok((Kind::Other, false));
        match self.peek() {
            Token::Number | Token::Text => {
                self.at += 1;
                other
            }
            Token::Integer(magnitude) => {
                let largest = i64::MAX.cast_unsigned() + u64::from(is_negative);
                if magnitude.is_none_or(|magnitude| magnitude > largest) {
                    return Err(self.wrong("the number is too large for 64 bits".to_owned()));
                }
                self.at += 1;
                other
            }
            Token::Word(word) if word != "in" && KEYWORDS.contains(&word.as_str()) => {
                self.at += 1;
                other
            }
            Token::Word(_) | Token::Symbol(".") => {
                let is_rooted = self.eat(".");
                let name = self.word("a name", &KEYWORDS, &RESERVED)?;
                if self.eat("(") {
                    self.call(&name, false)?;
                    return other;
                }
                Ok((if is_rooted { Kind::Other } else { Kind::Name }, true))
            }
            Token::Symbol("(") => {
                self.at += 1;
                let kind = self.nested(Self::expression)?;
                self.expect(")")?;
                Ok((kind, false))
            }
            Token::Symbol("[") => {
                self.at += 1;
                self.nested(|parser| parser.items("]", |parser| parser.expression().map(drop)))?;
                other
            }
            Token::Symbol("{") => {
                self.at += 1;
                self.nested(|parser| {
                    parser.items("}", |parser| {
                        parser.expression()?;
                        parser.expect(":")?;
                        parser.expression().map(drop)
                    })
                })?;
                other
            }
            token => Err(self.wrong(format!("{token} stands where a value is due"))),
        }
    }

    /// The arguments up to the closing bracket, and what a macro of this name wants of them.
    fn call(&mut self, name: &str, of_member: bool) -> Result<(), BadFilter> {
        let start = self.at;
        let mut arguments = Vec::new();
        if !self.eat(")") {
            self.nested(|parser| {
                loop {
                    arguments.push(parser.expression()?);
                    if !parser.eat(",") {
                        return parser.expect(")");
                    }
                }
            })?;
        }
        let wrong = match (of_member, name, arguments.as_slice()) {
            (false, "has", [Kind::Field]) => None,
            (false, "has", _) => Some("has() takes one field"),
            (true, "all" | "exists" | "exists_one" | "filter" | "map", [first, _])
            | (true, "map", [first, _, _]) => {
                (*first != Kind::Name).then_some("the macro's first argument is not a plain name")
            }
            _ => None,
        };
        match wrong {
            None => Ok(()),
            Some(what) => Err(self.wrong_at(start, what.to_owned())),
        }
    }

    /// The fields of a message, up to the closing bracket.
    fn fields(&mut self) -> Result<(), BadFilter> {
        self.items("}", |parser| {
            parser.word("the name of a field", &KEYWORDS, &[])?;
            parser.expect(":")?;
            parser.expression().map(drop)
        })
    }

    /// Items with commas between them and perhaps one at their end, up to the closing bracket.
    fn items(
        &mut self,
        close: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<(), BadFilter>,
    ) -> Result<(), BadFilter> {
        loop {
            if self.eat(close) {
                return Ok(());
            }
            // Grammar: "[" [ExprList] [","] "]", so that a comma may stand alone.
            if !(self.peek() == &Token::Symbol(",")
                && self.peek_at(1) == &Token::Symbol(close)
                && self.at > 0
                && matches!(self.tokens[self.at - 1].1, Token::Symbol("[" | "{")))
            {
                item(self)?;
            }
            if !self.eat(",") {
                return self.expect(close);
            }
        }
    }

    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, BadFilter>,
    ) -> Result<T, BadFilter> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong(format!("brackets stand more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn word(
        &mut self,
        due: &str,
        keywords: &[&str],
        reserved: &[&str],
    ) -> Result<String, BadFilter> {
        match self.peek() {
            Token::Word(word)
                if !keywords.contains(&word.as_str()) && !reserved.contains(&word.as_str()) =>
            {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            token => Err(self.wrong(format!("{token} stands where {due} is due"))),
        }
    }

    fn eat_binary(&mut self) -> bool {
        let is_binary = match self.peek() {
            Token::Symbol(symbol) => BINARY.contains(symbol),
            Token::Word(word) => word == "in",
            _ => false,
        };
        self.at += usize::from(is_binary);
        is_binary
    }

    fn eat(&mut self, symbol: &'static str) -> bool {
        let is_there = *self.peek() == Token::Symbol(symbol);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), BadFilter> {
        if self.eat(symbol) {
            return Ok(());
        }
        let found = self.peek();
        Err(self.wrong(format!("{found} stands where `{symbol}` is due")))
    }

    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |(_, token)| token)
    }

    fn wrong(&self, what: String) -> BadFilter {
        self.wrong_at(self.at, what)
    }

    fn wrong_at(&self, token: usize, what: String) -> BadFilter {
        let character = self.tokens.get(token).map_or(0, |(start, _)| *start) + 1;
        BadFilter { character, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form of the grammar, and what filters of this system look like.
    const GOOD: &[&str] = &[
        "",
        "age > 18",
        "person.age > 3",
        "person.gender == 1 && person.age_group == 2",
        "a.b in [\"x)\", 'y']",
        "(a && {b: \"\\\"\"})",
        "has(person.age) && !has((person.name))",
        "!!a || --b < -3",
        "!-1 == x",
        "a ? b : c ? d : e",
        "a ? (b ? c : d) : e",
        "a < b == c",
        "f()",
        "f(1, 2u, 0xFFu, 3.5, .5, 1e3, 2.5E-7)",
        ".pkg.f(x)",
        "a.b.c(d)[0].e",
        "[]",
        "[,]",
        "[1, 2,]",
        "[1, [2]]",
        "{}",
        "{\"a\": 1, 2: [3],}",
        "wfa.Event{}",
        ".wfa.Event{age: 1, in_box: {1: 2},}.age == 1",
        "Event{}",
        "l.all(x, x > 1)",
        "l.exists((x), x > 1) || l.exists_one(y, y)",
        "l.map(x, x > 1, x * 2).filter(y, y % 2 == 0).size() == 1",
        "a.package.var == 1",
        "true && false != null",
        "in_range == inside",
        "\"double\" + 'single'",
        "\"\"\"three\n\"quotes\" \"\"\" == ''''''",
        "r'\\' + R\"\\d\"",
        "b'bytes\\xff\\377' == bR'\\u'",
        "'\\a\\b\\f\\n\\r\\t\\v\\\\\\?\\\"\\'\\`\\x41\\X41\\101\\u00e9\\U0001F600'",
        "'gr\u{fc}n' == name",
        "-9223372036854775808 < 9223372036854775807",
        "18446744073709551615u == 0xFFFFFFFFFFFFFFFFU",
        "a// the rest is a comment\n== 1",
        "1.f()",
        "true.x",
        "\"a\".startsWith(\"b\")",
        "(((a)))",
        " \t\r\n\u{c}a ",
        "_a1 - b -1",
        "rb == br",
        "a in b in c",
        "!(a > 1)",
        "a[b ? c : d]",
    ];

    const BAD: &[&str] = &[
        " ",
        "// only a comment",
        "age > > 18",
        "foo bar",
        "(a",
        "a)",
        "[a)",
        "a == \"",
        "a &&",
        "'x\\'",
        "&& a",
        "a && || b",
        "a & b",
        "a | b",
        "a = 1",
        "a === 1",
        "a <> 1",
        "a ! b",
        "a == ",
        "== a",
        "a..b",
        "a.",
        "a.1",
        ".",
        "a.(b)",
        "a.in",
        "a.true",
        "in a",
        "in",
        "if",
        "package.a",
        "while(1)",
        "!-x",
        "!-'x'",
        "-!x",
        "a ? b",
        "a ? b : ",
        "a ? : c",
        "a : b",
        "a ? b ? c : d : e",
        "f(,)",
        "f(1,)",
        "f(1 2)",
        "f(",
        "[1,,2]",
        "[1 2]",
        "a[]",
        "a[1",
        "{1}",
        "{1: }",
        "{: 1}",
        "{a: 1 b: 2}",
        "Event{1: 2}",
        "Event{in: 2}",
        "f(){a: 1}",
        "1abc",
        "0x",
        "1e",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616u",
        "'a\nb'",
        "'\\q'",
        "'\\x4'",
        "'\\uD800'",
        "b'\\u0041'",
        "'\\400'",
    ];

    #[test]
    fn expressions_pass() {
        for good in GOOD {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_is_no_expression_does_not_pass() {
        for bad in BAD {
            assert!(check(bad).is_err(), "{bad}");
        }
        for strange in ["a # b", "a @ b", "gr\u{fc}n == 1", "a; b", "`a`", "$a", "a \\ b", "\u{0}"]
        {
            assert!(check(strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn macros_want_a_field_or_a_plain_name() {
        for (good, bad) in [
            ("has(a.b)", "has(a)"),
            ("has(a.b.c)", "has(a.b())"),
            ("has(a[0].b)", "has(a[0])"),
            ("has(a.b)", "has(a.b, c)"),
            ("has(a.b)", "has(a.b > 1)"),
            ("l.all(x, true)", "l.all(x.y, true)"),
            ("l.map(x, 1, 2)", "l.map(1, 2, 3)"),
            ("l.filter(x, true)", "l.filter(x ? y : z, true)"),
            ("l.exists(x, true)", "l.exists(-x, true)"),
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_error_says_where_and_what() {
        for (bad, character, what) in [
            ("age > > 18", 7, "`>` stands where a value is due"),
            ("foo bar", 5, "`bar` follows a whole expression"),
            ("(a", 3, "the end stands where `)` is due"),
            ("a == 'x", 6, "a quote is not closed"),
        ] {
            let expected = BadFilter { character, what: what.to_owned() };
            assert_eq!(check(bad), Err(expected), "{bad}");
        }
    }

    #[test]
    fn brackets_go_to_the_depth_that_is_allowed_and_no_deeper() {
        for (open, close) in [("(", ")"), ("[", "]"), ("f(", ")"), ("a[", "]"), ("{1:", "}")] {
            let nested = |depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(check(&nested(MAX_DEPTH)), Ok(()), "{open}");
            assert!(check(&nested(MAX_DEPTH + 1)).is_err(), "{open}");
            assert!(check(&nested(100_000)).is_err(), "{open}");
        }
        // What does not stand in brackets is read in a loop, however long.
        for long in [format!("{}a", "!".repeat(100_000)), format!("{}e", "a ? b : ".repeat(50_000))]
        {
            assert_eq!(check(&long), Ok(()));
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_judged_without_a_panic() {
        let mut refused = 0;
        for good in GOOD {
            for (at, _) in good.char_indices() {
                refused += usize::from(check(&good[..at]).is_err());
                refused += usize::from(check(&good[at..]).is_err());
            }
        }
        assert!(refused > 500, "{refused}");
    }
}
