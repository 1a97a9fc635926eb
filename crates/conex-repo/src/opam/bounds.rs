//! Dependencies without their bounds: `depends`, `depopts`, and the shape of `conflicts`.
//!
//! A *bound* is a comparison of the package's version with a version: `>= "1.0"`, `= version`.
//! Bounds go where leaving them out changes no other condition: in a conjunction, and formulas made
//! of nothing else. Under `|` beside a filter, or under `!`, they say when a dependency exists.

use super::fields;
use super::lexer::{Fault, Kind};
use super::reader::{Reader, content};

impl Reader<'_, '_> {
    /// A package formula, or a list of them.
    pub(super) fn dependencies(&mut self) -> Result<(), Fault> {
        if self.token.kind != Kind::OpenBracket {
            return self.packages();
        }
        self.keep()?;
        while self.token.kind != Kind::CloseBracket {
            self.packages()?;
        }
        self.close(Kind::CloseBracket)
    }

    /// Packages joined by `&` and `|`. Braces stand behind a name and nowhere else, once: opam
    /// ignores the whole field where they don't, and that must not depend on what is left out.
    fn packages(&mut self) -> Result<(), Fault> {
        loop {
            if self.token.kind == Kind::OpenParen {
                self.open()?;
                while self.token.kind != Kind::CloseParen {
                    self.packages()?;
                }
                self.close_nested(Kind::CloseParen)?;
            } else if self.token.kind.is_string() {
                self.keep()?;
                if self.token.kind == Kind::OpenBrace {
                    self.constraint()?;
                }
            } else {
                return Err(self.fault("a package name should stand here"));
            }
            if !matches!(self.token.kind, Kind::And | Kind::Or) {
                return Ok(());
            }
            self.keep()?;
        }
    }

    /// `{ ... }` behind a package name, without its bounds, or nothing if nothing else is there.
    fn constraint(&mut self) -> Result<(), Fault> {
        let start = self.source.len();
        self.open()?;
        let bounds = self.token.kind == Kind::CloseBrace || self.formula(false)?;
        self.close_nested(Kind::CloseBrace)?;
        if bounds {
            self.source.truncate(start);
        }
        Ok(())
    }

    /// What stands in braces or parentheses, up to what closes them; whether it is made of bounds
    /// only, which the caller then leaves out. `whole` says to keep all of it.
    ///
    /// It is read as a conjunction. Where a `|` says that it isn't one it is read once more, whole,
    /// as `&` binds tighter. So it is where items follow each other without an operator, which opam
    /// takes for a conjunction too: leaving one out could let its neighbours make a comparison.
    fn formula(&mut self, whole: bool) -> Result<bool, Fault> {
        let mark = self.mark();
        let mut bounds = true;
        loop {
            let start = self.source.len();
            if !whole && !bounds {
                self.source.extend_from_slice(b"& ");
            }
            if !self.formula_item(whole)? {
                bounds = false;
            } else if !whole {
                self.source.truncate(start);
            }
            match self.token.kind {
                Kind::CloseBrace | Kind::CloseParen => return Ok(bounds),
                Kind::And if !whole => self.skip()?,
                Kind::And | Kind::Or if whole => self.keep()?,
                _ if whole => {}
                _ => {
                    self.rewind(mark);
                    return self.formula(true);
                }
            }
        }
    }

    /// One operand of `&` and `|`; whether it is a bound or made of bounds.
    fn formula_item(&mut self, whole: bool) -> Result<bool, Fault> {
        let prefixed = self.token.kind == Kind::Pfxop;
        while self.token.kind == Kind::Pfxop {
            self.keep()?;
        }
        let bounds = match self.token.kind {
            Kind::OpenParen => {
                self.open()?;
                let bounds = self.formula(whole || prefixed)?;
                self.close_nested(Kind::CloseParen)?;
                bounds
            }
            Kind::Relop => {
                self.keep()?;
                let bound = match self.token.kind {
                    Kind::Plain => fields::is_version(content(self.token.text)),
                    Kind::Ident => self.token.text == b"version",
                    _ => false,
                };
                self.atom()?;
                bound
            }
            _ => {
                self.atom()?;
                if self.token.kind == Kind::Relop {
                    self.keep()?;
                    self.atom()?;
                }
                false
            }
        };
        Ok(bounds && !prefixed)
    }
}
