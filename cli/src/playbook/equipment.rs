//! What commands are performed with.

use std::path::PathBuf;

use super::http::HttpClients;
use crate::program::Programs;
use crate::secrets::Secrets;

/// The same for all commands of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Equipment {
    /// Starts programs.
    pub(crate) programs: Programs,
    /// Where programs run.
    pub(crate) folder: PathBuf,
    /// What references that are left are filled in with.
    pub(crate) secrets: Secrets,
    /// Sends requests.
    pub(crate) http: HttpClients,
    /// The host keys that `ssh` trusts; `None` for those that the user's own `ssh` trusts.
    pub(crate) known_hosts: Option<PathBuf>,
}
