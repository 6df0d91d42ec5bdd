//! The bounds of scheduling (I12), each with its unit and its reason.

use std::time::Duration;

/// How often the dispatcher looks around while nothing is committed. Another process's jobs are
/// found within it.
pub const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How often it looks whether other engines on the same database have died.
pub const RECOVER_EVERY: Duration = Duration::from_millis(50);

/// How long a job may lie on the channel before it goes back to the outbox, where another process
/// or a better job may get its place.
pub const ON_CHANNEL_MAX: Duration = Duration::from_millis(500);

/// How long nothing is dispatched so that a suspected job can run alone.
pub const ALONE_PATIENCE: Duration = Duration::from_secs(1);

/// How long nothing else is dispatched while it does, doubled with each crash that it was a suspect of:
/// one that ends its engine later than that is found in the end, and a long innocent one does not
/// hold up the rest.
pub const ALONE_MAX: Duration = Duration::from_secs(2);

/// How often that is doubled at most: to more than two hours.
pub const ALONE_DOUBLINGS_MAX: u32 = 12;

/// How long work goes on before that is tried again.
pub const ALONE_PAUSE: Duration = Duration::from_secs(10);

/// How often runs are looked for that have been kept long enough. What is found is deleted piece after
/// piece.
pub const RETAIN_EVERY: Duration = Duration::from_secs(5);
