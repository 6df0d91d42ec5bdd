//! Bounds of what a command may take and give.

use std::time::Duration;

/// Bytes of a response's body: what a command gives is stored with the run.
pub(super) const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// Redirects that are followed; a service that needs more sends us round in circles.
pub(super) const REDIRECTS_MAX: usize = 5;

/// How long another machine may take to answer at all.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a machine at the other end of `ssh` may be silent before it is asked for a sign of
/// life; the connection is given up after three questions.
pub(super) const ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Bytes of one variable of a program's environment, with its name: Linux takes 128 KiB.
pub(super) const VARIABLE_BYTES_MAX: usize = 128 * 1024 - 2;

/// Bytes of all of them, which share their room with the rest of the environment.
pub(super) const ENVIRONMENT_BYTES_MAX: usize = 1 << 20;

/// Characters of a body that an error quotes.
pub(super) const EXCERPT_CHARS: usize = 200;
