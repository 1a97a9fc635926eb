//! Plants all mutants of a file at once. Each is an expression that asks whether it is the active one.

use core::fmt;
use std::collections::BTreeSet;

use proc_macro2::Span;
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, ExprMethodCall, ItemStatic, Signature, parse_quote};
use syn::{
    BinOp, Block, Expr, ImplItemFn, ItemConst, ItemFn, ItemMod, ReturnType, Stmt, Type, UnOp,
};

/// One small change of a program.
#[derive(Debug, Clone)]
pub(super) struct Mutant {
    pub(super) file: String,
    pub(super) line: usize,
    /// A description of the change.
    pub(super) what: String,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Plants mutants in sources, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Planter {
    pub(super) mutants: Vec<Mutant>,
    /// Mutants that do not compile.
    excluded: BTreeSet<u32>,
    file: String,
}

impl Planter {
    /// Creates a planter that leaves out some mutants.
    pub(super) fn without(excluded: BTreeSet<u32>) -> Self {
        Self {
            excluded,
            ..Self::default()
        }
    }

    /// Returns the source of a file with all possible mutants planted.
    pub(super) fn plant(&mut self, file: &str, source: &str) -> syn::Result<String> {
        file.clone_into(&mut self.file);
        let mut tree = syn::parse_file(source)?;
        self.visit_file_mut(&mut tree);
        Ok(tree.into_token_stream().to_string())
    }

    /// Returns the number of a new mutant, or `None` if it is excluded.
    fn number(&mut self, at: Span, what: impl Into<String>) -> Option<u32> {
        self.mutants.push(Mutant {
            file: self.file.clone(),
            line: at.start().line,
            what: what.into(),
        });
        let number = u32::try_from(self.mutants.len()).ok()?;
        (!self.excluded.contains(&number)).then_some(number)
    }

    /// Replaces an expression by a choice between it and another one.
    fn choose(&mut self, expr: &mut Expr, other: &Expr, at: Span, what: &str) {
        let Some(number) = self.number(at, what) else {
            return;
        };
        let was = expr.clone();
        *expr = parse_quote!((if crate::mutants::is(#number) { #other } else { #was }));
    }

    /// Whether to leave a function alone: constant functions cannot ask, and tests are not under test.
    fn passes(attributes: &[Attribute], signature: Option<&Signature>) -> bool {
        is_test(attributes) || signature.is_some_and(|it| it.constness.is_some())
    }

    /// Makes a function return another value immediately.
    fn body(&mut self, signature: &Signature, block: &mut Block) {
        let name = &signature.ident;
        let at = signature.span();
        let answers: Vec<(Expr, &str)> = match &signature.output {
            ReturnType::Default => vec![(parse_quote!(()), "nothing")],
            ReturnType::Type(_, kind) => answers(kind),
        };
        let planted = answers.into_iter().filter_map(|(answer, word)| {
            let number = self.number(at, format!("{name} gives {word}"))?;
            Some(parse_quote!(if crate::mutants::is(#number) { return #answer; }))
        });
        let planted: Vec<Stmt> = planted.collect();
        // Items may come first, and statements before them are fine.
        block.stmts.splice(..0, planted);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let text = |it: &Attribute| it.to_token_stream().to_string().replace(' ', "");
    let mut texts = attributes.iter().map(text);
    texts.any(|text| text == "#[cfg(test)]" || text == "#[test]")
}

/// Returns alternative results of a function, by its type.
fn answers(kind: &Type) -> Vec<(Expr, &'static str)> {
    let Type::Path(path) = kind else {
        return Vec::new();
    };
    let Some(last) = path.path.segments.last() else {
        return Vec::new();
    };
    match last.ident.to_string().as_str() {
        "bool" => vec![(parse_quote!(true), "true"), (parse_quote!(false), "false")],
        "Option" => vec![(parse_quote!(None), "none")],
        "Vec" | "BTreeSet" | "BTreeMap" => vec![(parse_quote!(Default::default()), "nothing")],
        "usize" => vec![(parse_quote!(0), "0"), (parse_quote!(1), "1")],
        _ => Vec::new(),
    }
}

/// Whether an expression contains a `let`, which only conditions may contain.
fn binds(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}

/// Returns the operators that can replace another one.
fn rivals(operator: &BinOp) -> Vec<BinOp> {
    match operator {
        BinOp::Eq(_) => vec![parse_quote!(!=)],
        BinOp::Ne(_) => vec![parse_quote!(==)],
        BinOp::Lt(_) => vec![parse_quote!(<=), parse_quote!(>)],
        BinOp::Le(_) => vec![parse_quote!(<)],
        BinOp::Gt(_) => vec![parse_quote!(>=), parse_quote!(<)],
        BinOp::Ge(_) => vec![parse_quote!(>)],
        BinOp::And(_) => vec![parse_quote!(||)],
        BinOp::Or(_) => vec![parse_quote!(&&)],
        BinOp::Add(_) => vec![parse_quote!(-)],
        BinOp::Sub(_) => vec![parse_quote!(+)],
        _ => Vec::new(),
    }
}

fn rival_method(call: &ExprMethodCall) -> Option<&'static str> {
    Some(match (call.method.to_string().as_str(), call.args.len()) {
        ("any", 1) => "all",
        ("all", 1) => "any",
        ("min", 0 | 1) => "max",
        ("max", 0 | 1) => "min",
        ("is_some", 0) => "is_none",
        ("is_none", 0) => "is_some",
        ("is_ok", 0) => "is_err",
        ("is_err", 0) => "is_ok",
        ("is_some_and", 1) => "is_none_or",
        ("is_none_or", 1) => "is_some_and",
        ("first", 0) => "last",
        _ => return None,
    })
}

impl VisitMut for Planter {
    fn visit_item_fn_mut(&mut self, item: &mut ItemFn) {
        if !Self::passes(&item.attrs, Some(&item.sig)) {
            visit_mut::visit_block_mut(self, &mut item.block);
            self.body(&item.sig, &mut item.block);
        }
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut ImplItemFn) {
        if !Self::passes(&item.attrs, Some(&item.sig)) {
            visit_mut::visit_block_mut(self, &mut item.block);
            // Display, comparison and hashing are left alone.
            let name = item.sig.ident.to_string();
            if !matches!(name.as_str(), "fmt" | "eq" | "cmp" | "partial_cmp" | "hash") {
                self.body(&item.sig, &mut item.block);
            }
        }
    }

    fn visit_item_mod_mut(&mut self, item: &mut ItemMod) {
        if !is_test(&item.attrs) {
            visit_mut::visit_item_mod_mut(self, item);
        }
    }

    fn visit_item_const_mut(&mut self, _: &mut ItemConst) {}

    fn visit_item_static_mut(&mut self, _: &mut ItemStatic) {}

    fn visit_type_mut(&mut self, _: &mut Type) {}

    fn visit_pat_mut(&mut self, _: &mut syn::Pat) {}

    fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
        visit_mut::visit_stmt_mut(self, statement);
        let Stmt::Expr(expr, Some(_)) = statement else {
            return;
        };
        let is_left_out = match expr {
            Expr::MethodCall(_) => true,
            Expr::Binary(binary) => matches!(
                binary.op,
                BinOp::AddAssign(_) | BinOp::SubAssign(_) | BinOp::BitOrAssign(_)
            ),
            _ => false,
        };
        if is_left_out && let Some(number) = self.number(expr.span(), "a statement is left out") {
            *statement = parse_quote!(if !crate::mutants::is(#number) { #expr; });
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let (original, at) = (expr.clone(), expr.span());
        visit_mut::visit_expr_mut(self, expr);
        match &original {
            Expr::Binary(binary) if !binds(&original) => {
                for rival in rivals(&binary.op) {
                    let other = Expr::Binary(syn::ExprBinary {
                        op: rival,
                        ..binary.clone()
                    });
                    let (was, is) = (binary.op.to_token_stream(), rival.to_token_stream());
                    self.choose(expr, &other, at, &format!("{was} becomes {is}"));
                }
            }
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                self.choose(expr, &unary.expr, at, "! is left out");
            }
            Expr::MethodCall(call) => {
                if let Some(rival) = rival_method(call) {
                    let mut other = call.clone();
                    let what = format!("{} becomes {rival}", call.method);
                    other.method = syn::Ident::new(rival, call.method.span());
                    self.choose(expr, &Expr::MethodCall(other), at, &what);
                } else if call.method == "is_empty" {
                    let other: Expr = parse_quote!(!#call);
                    self.choose(expr, &other, at, "is_empty is negated");
                }
            }
            _ => {}
        }
    }
}
