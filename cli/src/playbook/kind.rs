//! The kinds of command that are done here.

/// A kind of command, by the `type` that CACAO 2.0 gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CommandKind {
    /// A script for `bash` on this machine.
    Bash,
    /// A script for `pwsh` on this machine.
    PowerShell,
    /// A script for the shell of another machine.
    Ssh,
    /// An HTTP request.
    HttpApi,
    /// A request of `OpenC2` over HTTP.
    OpenC2Http,
}

impl CommandKind {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Bash,
        Self::PowerShell,
        Self::Ssh,
        Self::HttpApi,
        Self::OpenC2Http,
    ];

    /// The `type` of such commands.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::PowerShell => "powershell",
            Self::Ssh => "ssh",
            Self::HttpApi => "http-api",
            Self::OpenC2Http => "openc2-http",
        }
    }

    /// The kind of a `type`; `None` if such commands are not done here.
    pub(crate) fn of(command_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == command_type)
    }
}
