//! An `sshd` of the test's own: its own host key, its own settings, and logins of this user alone.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::calls::skipped;

/// Listens on this machine as long as the test runs.
pub(super) struct Sshd {
    folder: TempDir,
    pub(super) port: u16,
}

impl Sshd {
    /// Begins to listen; `None`, with a word about it, where there is no `sshd`.
    pub(super) fn start(test: &str) -> Option<Self> {
        let Some(sshd) = program() else {
            skipped(
                test,
                "there is no sshd on this machine; install openssh-server",
            );
            return None;
        };
        let folder = TempDir::new().unwrap();
        for key in ["host", "other-host", "user", "other-user"] {
            keygen(folder.path(), key, "");
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join("authorized"), read("user.pub")).unwrap();
        let config = folder.path().join("sshd_config");
        let place = folder.path().display();
        let settings = format!(
            "HostKey {place}/host\nAuthorizedKeysFile {place}/authorized\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPrintMotd no\n"
        );
        std::fs::write(&config, settings).unwrap();
        // Only a superuser's sshd needs it, and only a superuser can make it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || serve(&listener, &sshd, &config));
        Some(Self { folder, port })
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
}

/// One process for each connection, as a superserver does it.
fn serve(listener: &TcpListener, sshd: &Path, config: &Path) {
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        let output = Stdio::from(OwnedFd::from(stream.try_clone().unwrap()));
        let session = Command::new(sshd)
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

/// The whole path, which `sshd` asks for.
fn program() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path
        .split(':')
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"]);
    folders
        .map(|folder| Path::new(folder).join("sshd"))
        .find(|path| path.is_absolute() && path.exists())
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
