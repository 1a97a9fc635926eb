//! Removes the bounds from dependencies: `depends`, `depopts`, and the shape of `conflicts`.
//!
//! A *bound* is a comparison of the package's version with a version: `>= "1.0"`, `= version`. Bounds are
//! left out where that changes no other condition: in a conjunction, and in formulas that consist of bounds
//! only. Under `|` beside a filter, or under `!`, they decide whether a dependency exists.

use super::fields;
use super::lexer::{Fault, Kind};
use super::reader::{Reader, content};
use super::values::unescaped;

impl Reader<'_, '_> {
    /// Reads a package formula, or a list of them.
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

    /// Reads packages joined by `&` and `|`. Braces may occur only after a name, and only once: otherwise
    /// opam ignores the whole field, and that must not depend on what is left out.
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

    /// Checks that the next token is a string that opam accepts as a package name. With any other name,
    /// opam ignores the field.
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

    /// Reads `{ ... }` after a package name and leaves out its bounds. If nothing else is in the braces,
    /// they are left out, too.
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

    /// Reads the contents of braces or parentheses up to the closing token. Returns whether they consist of
    /// bounds only, which the caller then leaves out. `whole` keeps everything.
    ///
    /// The contents are first read as a conjunction. If a `|` shows that they are not one, they are read
    /// again with everything kept, because `&` binds tighter. The same happens if items follow each other
    /// without an operator, which opam also treats as a conjunction: leaving one out could make its
    /// neighbours form a comparison.
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

    /// Reads one operand of `&` and `|`. Returns whether it is a bound or consists of bounds.
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

    /// Reads the value that a package's version is compared with. Returns whether that makes a bound.
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

/// The purpose of a list of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packages {
    /// `depends` and `depopts`.
    Needed,
    /// `conflicts`: each package counts by itself.
    Conflicting,
}
