//! The plain mode: a pattern in every setting, unharmed.

use super::live::{Live, Setting};
use super::pattern::Pattern;
use super::{Committed, Stage};

/// Every setting ends as it may, commits the same steps and leaves nothing over.
pub(crate) fn run(pattern: &Pattern) {
    let mut first: Option<Committed> = None;
    for setting in Setting::ALL {
        let live = Live::open(pattern, setting);
        let played = live.play();
        let plain = first.get_or_insert_with(|| played.committed.clone());
        pattern.assert_allowed(
            &played.end,
            &played.committed,
            plain,
            &format!("{setting:?}"),
        );
        live.close();
    }
}

/// What an unharmed run commits, for comparison.
pub(crate) fn committed(pattern: &Pattern) -> Committed {
    let (builder, _) = Setting::ALL[0].builder();
    let live = Live::over(pattern, builder, Stage::interrupted());
    let played = live.play();
    live.close();
    played.committed
}
