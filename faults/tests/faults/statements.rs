//! Statements of a step that meet a failing disk.

use windlass_faults::Call;

use crate::case::{cases, check};

#[test]
fn a_read_that_fails_under_a_statement_of_a_step_is_no_failure_of_the_step() {
    // A script whose pages are not kept in memory: some of these reads are the statement's own. It
    // is carried out when the disk works again, and the run ends as if nothing had been.
    let mut struck = 0;
    for case in cases(1) {
        if case.call == Call::Read && (30..60).contains(&case.nth) {
            struck += usize::from(check(case));
        }
    }
    assert!(struck > 50, "{struck} reads failed");
}
