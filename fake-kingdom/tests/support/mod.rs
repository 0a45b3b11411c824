//! A `fake-kingdom serve` process, started, asked and ended.

#![allow(dead_code, reason = "each test target uses a part of it")]

use fake_kingdom::Sandbox;
use fake_kingdom::client::{Credentials, channel};
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::transport::Tcp;
use serde_json::Value as Json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use tonic::transport::Channel;

/// A running process; killed when dropped.
pub(crate) struct Serve {
    pub(crate) child: Child,
    pub(crate) ready: Json,
}

impl Serve {
    /// Starts over a sandbox's folder and waits for the ready line.
    pub(crate) fn sandbox(folder: &Path, more: &[&str]) -> Self {
        let folder = folder.to_str().expect("a text path");
        let mut arguments = vec!["serve", "--format", "json", "--sandbox", folder];
        arguments.extend(more);
        Self::start(&arguments)
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a ready line");
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("ready line `{line}`: {e}"));
        Self { child, ready }
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.ready[field].as_str().expect("an address").to_owned()
    }

    /// A channel to the public API as one of the sandbox's participants.
    pub(crate) fn channel(&self, folder: &Path, participant: &str) -> Channel {
        let sandbox = Sandbox::open(folder).expect("a sandbox");
        let credentials = Credentials::of(&sandbox, participant).expect("a participant");
        channel(Arc::new(Tcp), &self.text("public"), &credentials, &Clock::real())
            .expect("a channel")
    }

    /// A call of the control listener: status code and body.
    pub(crate) fn control(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let address = self.text("control").replace("http://", "");
        let mut stream = TcpStream::connect(&address).expect("the control listener accepts");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        (status, body)
    }

    /// SIGTERM or SIGKILL, and the end of the process.
    pub(crate) fn signal(&mut self, signal: &str) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
        self.child.wait().expect("it ends")
    }
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        if size == 0 {
            break;
        }
        text.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    text
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with these arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-kingdom"));
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs a start that cannot succeed, to its end.
pub(crate) fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, stdout } =
        command(arguments).stderr(Stdio::piped()).stdout(Stdio::piped()).output().expect("it runs");
    assert!(stdout.is_empty(), "no ready line: {}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}
