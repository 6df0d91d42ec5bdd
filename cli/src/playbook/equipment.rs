//! What commands are performed with.

use std::path::PathBuf;

use super::http::HttpClients;
use crate::config::Config;
use crate::failure::Failure;
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

impl Equipment {
    /// What these settings say, for programs that run in `folder`.
    ///
    /// # Errors
    /// A refusal with every secret that has no value.
    pub(crate) fn new(
        config: &Config,
        programs: Programs,
        folder: PathBuf,
    ) -> Result<Self, Failure> {
        Ok(Self {
            programs,
            folder,
            secrets: Secrets::load(&config.secrets)?,
            http: HttpClients::default(),
            known_hosts: config.known_hosts.clone(),
        })
    }
}
