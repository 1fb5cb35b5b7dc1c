//! Machines outside of the site's hosts that a host must get a connection to.

use std::net::IpAddr;

use engine::{Cx, StepError};
use host::Command;

use super::{Finding, Requirements};
use crate::shell::ask;

/// Something that listens on a machine that is no host of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    pub name: String,
    /// Where the name leads; empty where the host's own resolver says it.
    pub addresses: Vec<IpAddr>,
    pub port: u16,
    pub of: &'static str,
    /// The key of the config that says where the name leads.
    pub key: &'static str,
}

/// A host without bash cannot tell, and finds out when it needs it.
const CONNECTS: &str = r#"reach() {
  command -v bash >/dev/null || return 0
  timeout 5 bash -c ": </dev/tcp/$1/$2" 2>/dev/null
}
"#;

pub(super) async fn find_unreached(
    cx: &Cx,
    wanted: &Requirements,
) -> Result<Vec<Finding>, StepError> {
    if wanted.reached.is_empty() {
        return Ok(Vec::new());
    }
    let tests = wanted.reached.iter().enumerate().map(|(at, reached)| {
        let (name, port) = (host::quote(&reached.name), reached.port);
        if reached.addresses.is_empty() {
            return format!(
                "if getent hosts {name} >/dev/null; then reach {name} {port} || echo lost {at}; else echo unknown {at}; fi"
            );
        }
        let ways = reached.addresses.iter();
        let ways: Vec<String> = ways.map(|ip| format!("reach {ip} {port}")).collect();
        format!("{{ {}; }} || echo lost {at}", ways.join(" || "))
    });
    let tests: Vec<String> = tests.collect();
    let script = format!("{CONNECTS}{}\ntrue", tests.join("\n"));
    let answer = ask(cx, Command::script(script)).await?.text();
    let told = |word: &str, at: usize| answer.lines().any(|line| line == format!("{word} {at}"));
    let findings = wanted
        .reached
        .iter()
        .enumerate()
        .filter_map(|(at, reached)| {
            let Reached {
                name,
                port,
                of,
                key,
                ..
            } = reached;
            if told("unknown", at) {
                return Some(Finding::new(
                    format!("it does not know where {name}, {of}, is"),
                    format!("give the address in {key}, or the name to the DNS that the host asks"),
                ));
            }
            told("lost", at).then(|| {
                Finding::new(
                    format!("it gets no connection to {name}:{port}, {of}"),
                    "open the way in firewalls between them; is it at work there?",
                )
            })
        });
    Ok(findings.collect())
}
