//! Patterns of gitattributes(5), which are those of gitignore(5) without negation.

/// The most comparison steps for one tree: about a second.
const STEPS: u64 = 1 << 28;

/// The number of comparison steps so far.
#[derive(Debug, Default)]
pub(super) struct Steps(u64);

impl Steps {
    fn take(&mut self, many: usize) -> Option<()> {
        self.0 += many as u64;
        (self.0 <= STEPS).then_some(())
    }
}

/// A compiled pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    /// Whether it applies to the last component only.
    is_name: bool,
    /// Whether it matches directories only.
    is_directory: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`: any character but a slash.
    One,
    /// `[...]`: one of these ranges, or none of them; never a slash.
    Class(bool, Vec<(u8, u8)>),
    /// `*`: any number of characters other than slashes.
    Star,
    /// `**/`: any number of whole components, each with its slash.
    Components,
    /// `**` at the end: everything.
    Rest,
    /// An invalid pattern, which matches nothing.
    Never,
}

impl Pattern {
    pub(super) fn new(text: &[u8]) -> Self {
        let is_directory = text.ends_with(b"/");
        let text = text.strip_suffix(b"/").unwrap_or(text);
        let is_name = !text.contains(&b'/');
        let text = text.strip_prefix(b"/").unwrap_or(text);
        Self {
            tokens: tokens(text),
            is_name,
            is_directory,
        }
    }

    /// Whether it matches a path relative to the directory of the pattern. Returns `None` when the limit of
    /// steps is exceeded.
    pub(super) fn matches(
        &self,
        path: &str,
        is_directory: bool,
        steps: &mut Steps,
    ) -> Option<bool> {
        steps.take(1)?;
        if self.is_directory && !is_directory {
            return Some(false);
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let text = if self.is_name { name } else { path };
        wild(&self.tokens, text.as_bytes(), steps)
    }
}

fn tokens(text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let is_start = matches!(
            tokens.last(),
            None | Some(Token::Byte(b'/') | Token::Components)
        );
        rest = after;
        tokens.push(match first {
            b'?' => Token::One,
            b'\\' => match after.split_first() {
                Some((escaped, after)) => {
                    rest = after;
                    Token::Byte(*escaped)
                }
                None => Token::Never,
            },
            b'[' => match class(after) {
                Some((token, after)) => {
                    rest = after;
                    token
                }
                None => Token::Never,
            },
            b'*' => {
                let stars = 1 + after.iter().take_while(|byte| **byte == b'*').count();
                rest = text_after(after, stars - 1);
                match rest.first() {
                    None if stars > 1 && is_start => Token::Rest,
                    Some(b'/') if stars > 1 && is_start => {
                        rest = text_after(rest, 1);
                        Token::Components
                    }
                    _ => Token::Star,
                }
            }
            byte => Token::Byte(*byte),
        });
    }
    tokens
}

fn text_after(text: &[u8], many: usize) -> &[u8] {
    text.get(many..).unwrap_or_default()
}

/// Parses the rest of a class after its `[`.
fn class(text: &[u8]) -> Option<(Token, &[u8])> {
    let (negated, mut rest) = match text.first()? {
        b'!' | b'^' => (true, text_after(text, 1)),
        _ => (false, text),
    };
    let mut ranges: Vec<(u8, u8)> = Vec::new();
    let mut is_first = true;
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b']' if !is_first => return Some((Token::Class(negated, ranges), rest)),
            b'[' if rest.first() == Some(&b':') => {
                let end = rest.iter().position(|byte| *byte == b']')?;
                let name = rest.get(1..end)?.strip_suffix(b":")?;
                ranges.extend(named(name)?);
                rest = text_after(rest, end + 1);
            }
            _ => {
                let from = escaped(*byte, &mut rest)?;
                match rest {
                    [b'-', to, after @ ..] if *to != b']' => {
                        rest = after;
                        let to = escaped(*to, &mut rest)?;
                        ranges.push((from, to));
                    }
                    _ => ranges.push((from, from)),
                }
            }
        }
        is_first = false;
    }
}

fn escaped(byte: u8, rest: &mut &[u8]) -> Option<u8> {
    if byte != b'\\' {
        return Some(byte);
    }
    let (byte, after) = rest.split_first()?;
    *rest = after;
    Some(*byte)
}

/// Returns the characters of a named class.
fn named(name: &[u8]) -> Option<Vec<(u8, u8)>> {
    Some(match name {
        b"alnum" => vec![(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        b"alpha" => vec![(b'A', b'Z'), (b'a', b'z')],
        b"blank" => vec![(b' ', b' '), (b'\t', b'\t')],
        b"cntrl" => vec![(0, 31), (127, 127)],
        b"digit" => vec![(b'0', b'9')],
        b"graph" => vec![(b'!', b'~')],
        b"lower" => vec![(b'a', b'z')],
        b"print" => vec![(b' ', b'~')],
        b"punct" => vec![(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        b"space" => vec![(b' ', b' '), (b'\t', b'\r')],
        b"upper" => vec![(b'A', b'Z')],
        b"xdigit" => vec![(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => return None,
    })
}

/// Matches tokens against a text. Only the last `*` has to be retried, as none goes past a slash; likewise
/// the last `**/`.
fn wild(tokens: &[Token], text: &[u8], steps: &mut Steps) -> Option<bool> {
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut components: Option<(usize, usize)> = None;
    loop {
        steps.take(1)?;
        let byte = text.get(at).copied();
        let fits = match (tokens.get(token), byte) {
            (None, None) | (Some(Token::Rest), _) => return Some(true),
            (Some(Token::Star), _) => {
                token += 1;
                star = Some((token, at));
                continue;
            }
            (Some(Token::Components), _) => {
                token += 1;
                components = Some((token, at));
                star = None;
                continue;
            }
            (Some(Token::Byte(wanted)), Some(byte)) => *wanted == byte,
            (Some(Token::One), Some(byte)) => byte != b'/',
            (Some(Token::Class(negated, ranges)), Some(byte)) => {
                let is_in = ranges
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&byte));
                byte != b'/' && is_in != *negated
            }
            _ => false,
        };
        if fits {
            token += 1;
            at += 1;
        } else if let Some((after, from)) =
            star.filter(|(_, from)| text.get(*from).is_some_and(|byte| *byte != b'/'))
        {
            star = Some((after, from + 1));
            (token, at) = (after, from + 1);
        } else if let Some((after, from)) = components {
            let Some(slash) = text_after(text, from).iter().position(|byte| *byte == b'/') else {
                return Some(false);
            };
            let next = from + slash + 1;
            components = Some((after, next));
            star = None;
            (token, at) = (after, next);
        } else {
            return Some(false);
        }
    }
}

/// Parses a pattern in double quotes, as git writes unusual names. Also returns what follows it.
pub(super) fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut name = Vec::new();
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((name, rest)),
            b'\\' => {
                let (byte, after) = rest.split_first()?;
                rest = after;
                name.push(match byte {
                    b'a' => 7,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    b'\\' | b'"' => *byte,
                    b'0'..=b'3' => {
                        let mut value = u32::from(byte - b'0');
                        for _ in 0..2 {
                            let (digit, after) = rest.split_first()?;
                            rest = after;
                            if !matches!(digit, b'0'..=b'7') {
                                return None;
                            }
                            value = value * 8 + u32::from(digit - b'0');
                        }
                        u8::try_from(value).ok()?
                    }
                    _ => return None,
                });
            }
            byte => name.push(*byte),
        }
    }
}
