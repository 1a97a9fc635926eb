//! The layout and the projections that a root names (spec sections 7 and 10).

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use crate::model::statement::{Root, Scheme};
use crate::tree::layout::{Layout, Schemes};
use crate::tree::metadata::place;
use crate::tree::problem::{Code, Problem};
use crate::tree::projection::Projection;

/// The layout and projections a root names, found among those a program knows.
#[expect(missing_debug_implementations, reason = "holds capabilities, not data")]
pub struct Known {
    layout: Box<dyn Layout>,
    projections: Vec<Box<dyn Projection>>,
}

impl Known {
    /// Finds them.
    ///
    /// # Errors
    /// A problem of code [`Code::Upgrade`] when one is not known.
    pub fn of(root: &Root, schemes: &dyn Schemes) -> Result<Self, Problem> {
        let upgrade = |what: &str, name: &Scheme| {
            Problem::new(
                Code::Upgrade,
                place::root(root.number),
                format!("the {what} {name} is not known"),
            )
        };
        let layout = schemes
            .layout(&root.layout)
            .ok_or_else(|| upgrade("layout", &root.layout))?;
        let projections = root
            .projections
            .iter()
            .map(|name| {
                schemes
                    .projection(name)
                    .ok_or_else(|| upgrade("projection", name))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            layout,
            projections,
        })
    }

    /// The layout.
    pub fn layout(&self) -> &dyn Layout {
        &*self.layout
    }

    /// The projections, in the order of the root.
    pub fn projections(&self) -> Vec<&dyn Projection> {
        self.projections
            .iter()
            .map(|projection| &**projection)
            .collect()
    }
}
