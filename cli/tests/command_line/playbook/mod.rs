//! Commands of playbooks, each by the real thing: a shell, a server of HTTP, an `sshd`.

mod allowing;
mod calls;
mod http;
mod run;
mod scripts;
mod server;
mod ssh;
mod sshd;
