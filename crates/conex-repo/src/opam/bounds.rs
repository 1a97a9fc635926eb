//! Dependencies without their bounds: `depends`, `depopts`, and the shape of `conflicts`.
//!
//! A *bound* is a comparison of the package's version with a version: `>= "1.0"`, `= version`.
//! Bounds go where leaving them out changes no other condition: in a conjunction, and formulas made
//! of nothing else. Under `|` beside a filter, or under `!`, they say when a dependency exists.

use super::fields;
use super::lexer::{Fault, Kind};
use super::reader::{Reader, content};
use super::values::unescaped;

impl Reader<'_, '_> {
    /// A package formula, or a list of them.
    pub(super) fn dependencies(&mut self, of: Packages) -> Result<(), Fault> {
        if self.token.kind != Kind::OpenBracket {
            return self.packages(of);
        }
        self.keep()?;
        while self.token.kind != Kind::CloseBracket {
            self.packages(of)?;
        }
        self.close(Kind::CloseBracket)
    }

    /// Packages joined by `&` and `|`. Braces stand behind a name and nowhere else, once: opam
    /// ignores the whole field where they don't, and that must not depend on what is left out.
    fn packages(&mut self, of: Packages) -> Result<(), Fault> {
        loop {
            if self.token.kind == Kind::OpenParen {
                self.open()?;
                if self.token.kind == Kind::CloseParen {
                    return Err(self.fault("opam cannot print a group without a package"));
                }
                while self.token.kind != Kind::CloseParen {
                    self.packages(of)?;
                }
                self.close_nested(Kind::CloseParen)?;
            } else {
                self.package_name()?;
                self.keep()?;
                if self.token.kind == Kind::OpenBrace {
                    self.constraint()?;
                }
            }
            match (self.token.kind, of) {
                (Kind::And, Packages::Conflicting) => {
                    return Err(self.fault("opam reads this & as a |"));
                }
                (Kind::And | Kind::Or, _) => self.keep()?,
                _ => return Ok(()),
            }
        }
    }

    /// Whether the next token is a string that opam takes for the name of a package; it ignores a field
    /// with another one.
    pub(super) fn package_name(&self) -> Result<(), Fault> {
        if !self.token.kind.is_string() {
            return Err(self.fault("a package name should stand here"));
        }
        if fields::is_package_name(&unescaped(self.token.text)) {
            Ok(())
        } else {
            Err(self.fault("this is no package name"))
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
            let asks_for_variables = self.token.text == b"?";
            self.keep()?;
            if asks_for_variables {
                self.check()?;
                return Ok(false);
            }
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
                self.version()?
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

    /// What a package's version is compared with; whether that makes a bound.
    fn version(&mut self) -> Result<bool, Fault> {
        let text = self.token.text;
        let bound = match self.token.kind {
            Kind::Plain if fields::is_version(content(text)) => true,
            kind if kind.is_string() && fields::may_be_version(&unescaped(text)) => false,
            Kind::Ident => text == b"version",
            Kind::Scoped => false,
            _ => return Err(self.fault("a version should stand here")),
        };
        self.keep()?;
        Ok(bound)
    }
}

/// What packages are listed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packages {
    /// `depends` and `depopts`.
    Needed,
    /// `conflicts`: each of the packages by itself.
    Conflicting,
}
