//! An `sshd` of the test's own: its own host key, its own settings, and logins of this user alone.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::calls::skipped;

/// What lets a user in where there are no keys.
pub(super) const PASSWORD: &str = "open sesame";

/// What `/etc/shadow` would hold of it.
const HASH: &str = "$6$windlass$6HTYqAImEsgB8HT//Z75qjY2JoKiVNAiSU4Hsl3Rbb6nwx.qR6Y7qXZs6whFeP0daJZavKwsCvwJEfg6UOsMq1";

/// Runs the rest of its arguments with another file in the place of `/etc/shadow`.
const WITH_SHADOW: &str = "mount --bind \"$1\" /etc/shadow && shift && exec \"$@\"";

/// Listens on this machine as long as the test runs.
pub(super) struct Sshd {
    folder: TempDir,
    pub(super) port: u16,
}

impl Sshd {
    /// Begins to listen; `None`, with a word about it, where there is no `sshd`.
    pub(super) fn start(test: &str) -> Option<Self> {
        let sshd = program(test)?;
        Some(Self::listen("PasswordAuthentication no", |_| {
            vec![sshd.into()]
        }))
    }

    /// The same, but only [`PASSWORD`] lets anybody in. It looks for passwords where all of the machine
    /// does, so it gets a view of the files of its own, which only a superuser may make.
    pub(super) fn start_for_passwords(test: &str) -> Option<Self> {
        let sshd = program(test)?;
        let within = |shadow: &Path| {
            let mut words: Vec<OsString> = ["unshare", "--mount", "sh", "-c", WITH_SHADOW, "sh"]
                .map(Into::into)
                .into();
            words.push(shadow.into());
            words
        };
        let mut can = within(Path::new("/etc/shadow"));
        can.push("true".into());
        let can = Command::new(&can[0]).args(&can[1..]).output();
        if !can.is_ok_and(|output| output.status.success()) {
            skipped(
                test,
                "no view of the files of its own; run it as a superuser",
            );
            return None;
        }
        Some(Self::listen("AuthenticationMethods password", |folder| {
            let shadow = folder.join("shadow");
            std::fs::write(&shadow, format!("{}:{HASH}:19000:0:99999:7:::\n", user())).unwrap();
            let mut words = within(&shadow);
            words.push(sshd.into());
            words
        }))
    }

    /// Listens with this setting, and with the words that start the program.
    fn listen(setting: &str, words: impl FnOnce(&Path) -> Vec<OsString>) -> Self {
        let folder = TempDir::new().unwrap();
        for key in ["host", "other-host", "user", "other-user"] {
            keygen(folder.path(), key, "");
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join("authorized"), read("user.pub")).unwrap();
        let config = folder.path().join("sshd_config");
        let place = folder.path().display();
        let settings = format!(
            "HostKey {place}/host\nAuthorizedKeysFile {place}/authorized\nPidFile none\nStrictModes no\nUsePAM no\n{setting}\nPermitRootLogin yes\nPrintMotd no\n"
        );
        std::fs::write(&config, settings).unwrap();
        // Only a superuser's sshd needs it, and only a superuser can make it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let words = words(folder.path());
        std::thread::spawn(move || serve(&listener, &words, &config));
        Self { folder, port }
    }

    /// The text of a file of it, without the last newline.
    pub(super) fn read(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap();
        text.trim_end().to_owned()
    }

    /// From now on only a new key lets anybody in, and only with its passphrase.
    pub(super) fn lock(&self, key: &str, passphrase: &str) {
        keygen(self.folder.path(), key, passphrase);
        let public = self.folder.path().join(format!("{key}.pub"));
        std::fs::copy(public, self.folder.path().join("authorized")).unwrap();
    }

    /// Its address in the definition of a target, with the public part of this host key.
    pub(super) fn target(&self, host_key: &str) -> Value {
        json!({
            "type": "ssh",
            "name": "Host",
            "address": {"ipv4": ["127.0.0.1"]},
            "port": self.port.to_string(),
            "host_key": self.read(&format!("{host_key}.pub")),
        })
    }

    /// Authentication information with this private key.
    pub(super) fn authentication(&self, key: &str) -> Value {
        json!({"type": "user-auth", "username": user(), "private_key": self.read(key)})
    }

    /// Authentication information with this password.
    pub(super) fn password(password: &str) -> Value {
        json!({"type": "user-auth", "username": user(), "password": password})
    }
}

/// One process for each connection, as a superserver does it.
fn serve(listener: &TcpListener, words: &[OsString], config: &Path) {
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        let output = Stdio::from(OwnedFd::from(stream.try_clone().unwrap()));
        let session = Command::new(&words[0])
            .args(&words[1..])
            .arg("-i")
            .arg("-f")
            .arg(config)
            .stdin(OwnedFd::from(stream))
            .stdout(output)
            .stderr(Stdio::null())
            .spawn();
        let mut session = session.unwrap();
        std::thread::spawn(move || session.wait());
    }
}

/// The whole path, which `sshd` asks for; a word if there is none.
fn program(test: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path
        .split(':')
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"]);
    let found = folders
        .map(|folder| Path::new(folder).join("sshd"))
        .find(|path| path.is_absolute() && path.exists());
    if found.is_none() {
        skipped(
            test,
            "there is no sshd on this machine; install openssh-server",
        );
    }
    found
}

fn keygen(folder: &Path, name: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", name, "-N", passphrase, "-f"])
        .arg(folder.join(name))
        .status();
    assert!(made.unwrap().success());
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
