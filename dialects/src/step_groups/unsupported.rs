//! Constructs of the dialect that have a meaning which is not lowered yet.
//!
//! They are errors in both modes: a file that is run without them would do something else.

use crate::diagnostic::{Report, Spot};

/// Refuses `construct`; `otherwise` says what would happen if it were left unread.
pub(crate) fn refuse(
    report: &mut Report,
    spot: &Spot,
    construct: &str,
    otherwise: &str,
    fix: &str,
) {
    let what = format!("{construct} is not supported yet; {otherwise}; {fix}");
    report.error("construct-unsupported", spot, what);
}
