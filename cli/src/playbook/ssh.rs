//! `ssh`: a script for the shell of another machine, over the system's `ssh`.
//!
//! Only known host keys are trusted, whatever the user's configuration says; nothing is asked at a
//! terminal, forwarded or left open. The text goes over stdin, so it stands in no command line here
//! or there. Stdin then stays open: when it ends before the script does, because the call was
//! cancelled or the connection broke, the other side kills what the script started.

use std::path::Path;

use super::address::{Place, invalid};
use super::credentials::Credentials;
use super::environment;
use super::limits::{ALIVE_INTERVAL, CONNECT_TIMEOUT};
use super::performed::Performed;
use super::private_folder::PrivateFolder;
use super::ssh_answer::PASSWORD_FILE;
use super::work::{Program, Work};
use crate::program::{End, Report, own_binary};
use crate::steps::{Setback, succeeded};

/// The exit code of `ssh` itself, when there is no connection or no longer one.
const NO_CONNECTION: i32 = 255;

/// The options of every call; those on the command line win over the user's configuration.
const OPTIONS: [&str; 15] = [
    "StrictHostKeyChecking=yes",
    "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "NumberOfPasswordPrompts=1",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "ControlMaster=no",
    "ControlPath=none",
    "LogLevel=ERROR",
];

/// What runs there: any shell of the user's understands this line, which hands over to `sh`.
///
/// It reads the length of the text and the text; watches its stdin, and kills its process group
/// when that ends; and runs the text in the user's own shell, if that is one of the usual ones, with
/// an empty stdin. `sshd` also closes stdin when the script has ended, so what the script left in
/// its group goes then.
const REMOTE: &str = concat!(
    "exec sh -c '",
    "read -r n && windlass_text=$(head -c \"$n\") || exit 255; ",
    "exec 3<&0 </dev/null; ",
    "(cat <&3; kill -s KILL -- -$$) >/dev/null 2>&1 & ",
    "exec 3<&-; ",
    "case $SHELL in */bash|*/zsh|*/ksh|*/dash|*/ash) user_shell=$SHELL;; *) user_shell=sh;; esac; ",
    "printf %s \"$windlass_text\" | \"$user_shell\" -c ",
    "\"windlass_text=\\$(cat) || exit 127; ",
    "eval \\\"unset windlass_text; \\$windlass_text\\\" </dev/null\"; ",
    "exit $?'",
);

pub(super) async fn ssh(
    work: &Work<'_>,
    stop: impl Future<Output = ()>,
) -> Result<Performed, Setback> {
    let login = Login::of(work)?;
    let private = PrivateFolder::new()?;
    let mut program = Program {
        command: vec!["ssh".to_owned(), "-T".to_owned()],
        variables: environment::of_attempt(work),
        input: input(work)?,
        holds_input: true,
        private: Some(private.path().to_path_buf()),
    };
    let mut options: Vec<_> = OPTIONS.map(str::to_owned).into();
    options.push(format!("ConnectTimeout={}", CONNECT_TIMEOUT.as_secs()));
    options.push(format!("ServerAliveInterval={}", ALIVE_INTERVAL.as_secs()));
    options.extend(host_keys(work, &private)?);
    options.extend(proof(work, &private, &mut program)?);
    for option in options {
        program.command.extend(["-o".to_owned(), option]);
    }
    program.command.extend(login.words());
    program.command.push(REMOTE.to_owned());

    let report = work.run(program, stop).await;
    drop(private);
    if let Ok(report) = &report
        && report.end == End::Exited(NO_CONNECTION)
    {
        return Err(no_connection(report, &login));
    }
    let output = succeeded(report)?;
    Ok(Performed::of_output(&output, &work.call.out_args))
}

/// Whom we log in as, and where.
#[derive(Debug)]
struct Login {
    host: String,
    port: Option<u16>,
    user: Option<String>,
}

impl Login {
    fn of(work: &Work<'_>) -> Result<Self, Setback> {
        let place = Place::of(work.call);
        let credentials = work.credentials.as_ref().and_then(Credentials::user);
        let mut login = match (place.host(), place.address("url")) {
            (Some(host), _) => Self {
                host: host.to_owned(),
                port: None,
                user: None,
            },
            (None, Some(url)) => Self::of_url(url)?,
            (None, None) => {
                return Err(invalid(
                    "it has no address, so ssh has nowhere to go; add address with dname, ipv4 or ipv6",
                ));
            }
        };
        login.port = place.port()?.or(login.port);
        let user = credentials.or_else(|| place.text("username"));
        login.user = user.map(str::to_owned).or(login.user);
        login.checked()
    }

    fn of_url(url: &str) -> Result<Self, Setback> {
        let parsed = reqwest::Url::parse(url).ok();
        let parsed = parsed.filter(|url| url.scheme() == "ssh" && url.password().is_none());
        let host = parsed.as_ref().and_then(|url| url.host_str());
        let (Some(url), Some(host)) = (&parsed, host) else {
            return Err(invalid("its url is none for ssh; write ssh://host:port"));
        };
        let user = Some(url.username()).filter(|user| !user.is_empty());
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port(),
            user: user.map(str::to_owned),
        })
    }

    /// Names are put together from variables, and the user's configuration may hand them to a shell.
    fn checked(self) -> Result<Self, Setback> {
        let plain = |c: char| c.is_ascii_alphanumeric();
        let host_fits = |c| plain(c) || matches!(c, '.' | '-' | '_' | ':' | '%');
        if self.host.starts_with('-') || !self.host.chars().all(host_fits) {
            return Err(invalid(&format!(
                "{:?} is no name or number of a machine",
                self.host
            )));
        }
        let user = self.user.as_deref().unwrap_or("x");
        let user_fits = |c| plain(c) || matches!(c, '.' | '-' | '_' | '@' | '+' | '\\');
        let is_bad = user.starts_with('-') || user.ends_with('\\') || user.is_empty();
        if is_bad || !user.chars().all(user_fits) {
            return Err(invalid(&format!("{user:?} is no name of a user")));
        }
        Ok(self)
    }

    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(port) = self.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        if let Some(user) = &self.user {
            words.extend(["-l".to_owned(), user.clone()]);
        }
        words.extend(["--".to_owned(), self.host.clone()]);
        words
    }
}

/// The length of the text and the text: first the playbook's variables, then the script.
fn input(work: &Work<'_>) -> Result<Vec<u8>, Setback> {
    let script = work.script()?;
    let variables = environment::of_playbook(work)?;
    let is_name = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.bytes().all(fits)
    };
    // Names with a hyphen are none for a shell; their values still stand in the text.
    let exports = variables.iter().filter(|(name, _)| is_name(name));
    let exports = exports.map(|(name, value)| format!("export {name}={}; ", quoted(value)));
    let text = exports.chain([script]).collect::<String>();
    Ok(format!("{}\n{text}", text.len()).into_bytes())
}

/// A word that a shell takes as it is.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// Which host keys are trusted: those that the target's definition has, those of the settings, or
/// those that the user's own `ssh` trusts.
fn host_keys(work: &Work<'_>, private: &PrivateFolder) -> Result<Vec<String>, Setback> {
    /// The name of the host in our own file of one host.
    const ALIAS: &str = "windlass-target";
    let keys = Place::of(work.call).texts("host_key");
    if !keys.is_empty() {
        if keys.iter().any(|key| key.contains(char::is_control)) {
            return Err(invalid(
                "host_key must be one line, such as ssh-ed25519 AAAA…",
            ));
        }
        let lines = keys.iter().map(|key| format!("{ALIAS} {key}\n"));
        let file = private.write("known_hosts", &lines.collect::<String>())?;
        let mut options = only(&file);
        options.push(format!("HostKeyAlias={ALIAS}"));
        return Ok(options);
    }
    let settings = work.equipment.known_hosts.as_deref();
    Ok(settings
        .map(|file| only(&work.equipment.folder.join(file)))
        .unwrap_or_default())
}

fn only(file: &Path) -> Vec<String> {
    let file = option_path(file);
    vec![
        format!("UserKnownHostsFile={file}"),
        "GlobalKnownHostsFile=/dev/null".to_owned(),
    ]
}

/// A path as the value of an option, where spaces separate and % begins a token.
fn option_path(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// What proves who we are: the private key and the password of the call, or whatever the user's own
/// `ssh` has.
fn proof(
    work: &Work<'_>,
    private: &PrivateFolder,
    program: &mut Program,
) -> Result<Vec<String>, Setback> {
    let credentials = work.credentials.as_ref();
    let key = credentials.and_then(Credentials::private_key);
    let password = credentials.and_then(Credentials::password);
    let mut options = Vec::new();
    let methods = match (key, password) {
        (None, None) => return Ok(vec!["BatchMode=yes".to_owned()]),
        (Some(_), None) => "publickey",
        (None, Some(_)) => "password,keyboard-interactive",
        (Some(_), Some(_)) => "publickey,password,keyboard-interactive",
    };
    options.push(format!("PreferredAuthentications={methods}"));
    if let Some(key) = key {
        let key = private.write("key", &format!("{}\n", key.trim_end()))?;
        options.push(format!("IdentityFile={}", option_path(&key)));
        options.extend(["IdentitiesOnly=yes", "IdentityAgent=none"].map(str::to_owned));
    }
    if let Some(password) = password {
        let file = private.write("password", password)?;
        let variables = [
            ("SSH_ASKPASS", own_binary()),
            ("SSH_ASKPASS_REQUIRE", "force".into()),
            (PASSWORD_FILE, file),
        ];
        let text = |(name, value): (&str, std::path::PathBuf)| {
            (name.to_owned(), value.display().to_string())
        };
        program.variables.extend(variables.map(text));
    } else {
        options.push("BatchMode=yes".to_owned());
    }
    Ok(options)
}

/// Why `ssh` itself failed; a wrong key or password stays wrong.
fn no_connection(report: &Report, login: &Login) -> Setback {
    let said = String::from_utf8_lossy(&report.errors);
    let lines: Vec<_> = said.lines().map(str::trim).collect();
    // The lines before say how to edit a file of known hosts that may be ours alone.
    let last = lines[lines.len().saturating_sub(2)..].join(" | ");
    let host = &login.host;
    if said.contains("Host key verification failed") {
        Setback::permanent(
            "ssh-host-key",
            format!(
                "the host key of {host} is not the one that is known, or none is known, so nothing was sent there; find out its right key and put it into known_hosts (see ssh.known_hosts of the settings): {last}"
            ),
        )
    } else if said.contains("Permission denied (") {
        Setback::permanent(
            "ssh-denied",
            format!("{host} does not let us in; check user, key and password: {last}"),
        )
    } else {
        Setback::passing(
            "ssh-failed",
            format!(
                "there is no connection to {host}, or it broke (a command that itself ends with exit code 255 looks the same): {last}"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(host: &str, user: Option<&str>) -> Result<Vec<String>, Setback> {
        let login = Login {
            host: host.to_owned(),
            port: Some(22),
            user: user.map(str::to_owned),
        };
        login.checked().map(|login| login.words())
    }

    #[test]
    fn names_that_could_be_options_or_syntax_are_refused() {
        let words = login("fe80::1%eth0", Some("DOMAIN\\kim")).unwrap();
        assert_eq!(
            words,
            ["-p", "22", "-l", "DOMAIN\\kim", "--", "fe80::1%eth0"]
        );
        for (host, user) in [
            ("-oProxyCommand=sh", None),
            ("h;sh", None),
            ("h `x`", None),
            ("h", Some("-x")),
            ("h", Some("$(x)")),
            ("h", Some("x\\")),
            ("h", Some("")),
        ] {
            assert!(login(host, user).is_err(), "{host} {user:?}");
        }
        let url = Login::of_url("ssh://kim@[::1]:2222").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("::1", Some(2222)));
        for wrong in ["https://h", "ssh://kim:x@h", "h"] {
            assert!(Login::of_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_quoted_value_is_one_word_and_a_path_one_value() {
        assert_eq!(quoted("a'b $(c)"), "'a'\\''b $(c)'");
        assert_eq!(option_path(Path::new("/a b/50%")), "\"/a b/50%%\"");
    }
}
