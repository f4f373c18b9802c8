//! The contract's versions, one folder each. A breaking change of `wit/` adds a folder
//! here and leaves the old one as it is.

pub(super) mod v0_1;
