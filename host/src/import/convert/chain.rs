//! The blocks around a place, and what is in force there.

use crate::import::syntax::Directive;

/// Blocks, each in the one before.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain<'d> {
    blocks: Vec<&'d [Directive]>,
}

impl<'d> Chain<'d> {
    /// The outermost block.
    pub(super) fn new(block: &'d [Directive]) -> Self {
        Self { blocks: vec![block] }
    }

    /// With a block in the innermost.
    pub(super) fn with(&self, block: &'d [Directive]) -> Self {
        let mut blocks = self.blocks.clone();
        blocks.push(block);
        Self { blocks }
    }

    /// The directives of these names that are in force: those of the innermost block that has
    /// one. nginx: values and lists alike are inherited only where nothing is said.
    pub(super) fn in_force(&self, names: &[&str]) -> Vec<&'d Directive> {
        let of = |block: &&'d [Directive]| -> Vec<&'d Directive> {
            block.iter().filter(|directive| names.contains(&directive.name())).collect()
        };
        self.blocks.iter().rev().map(of).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The directive of this name that is in force.
    pub(super) fn one(&self, name: &str) -> Option<&'d Directive> {
        self.in_force(&[name]).last().copied()
    }

    /// Its first argument; empty where there is none.
    pub(super) fn word(&self, name: &str) -> &'d str {
        self.one(name).map_or("", |directive| directive.arg(0))
    }

    /// Whether it is `on`.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.word(name).eq_ignore_ascii_case("on")
    }

    /// The innermost block.
    pub(super) fn own(&self) -> &'d [Directive] {
        self.blocks.last().copied().unwrap_or_default()
    }

    /// The directive of this name in the innermost block.
    pub(super) fn of_own(&self, name: &str) -> Option<&'d Directive> {
        self.own().iter().rfind(|directive| directive.name() == name)
    }
}
