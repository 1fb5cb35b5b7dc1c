//! Ports that somebody has, and who.

use std::collections::BTreeMap;

use engine::{Cx, StepError};
use host::{Command, Facts};

use super::{Finding, Requirements};
use crate::shell::ask;

const SCRIPT: &str = include_str!("ports.sh");

/// What holds only before the first run: later the ports are in use by us.
pub(super) async fn judge(
    cx: &Cx,
    wanted: &Requirements,
    facts: &Facts,
) -> Result<Vec<Finding>, StepError> {
    let ports = wanted.ports.iter();
    let taken: Vec<_> = ports
        .filter(|port| facts.listening.contains(&port.number))
        .collect();
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<String> = taken.iter().map(|port| port.number.to_string()).collect();
    let argv = ["sh", "-c", SCRIPT, "who-listens"].into_iter();
    let argv = argv.chain(numbers.iter().map(String::as_str));
    let told = ask(cx, Command::new(argv)).await?.text();
    let holders: BTreeMap<&str, &str> = told
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .collect();
    let findings = taken.iter().zip(&numbers).map(|(port, number)| {
        let of = port.of;
        match holders.get(number.as_str()) {
            Some(who) => Finding::new(
                format!("port {number} is in use by {who}, and {of} needs it"),
                "stop it, or give it another port; where it is left over from an older cluster, remove that with its own tool",
            ),
            None => Finding::new(
                format!("port {number} is in use, which {of} needs"),
                format!("find out by whom: ss -ltnp 'sport = :{number}'"),
            ),
        }
    });
    Ok(findings.collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    /// The script itself asks this machine after a port of this process.
    #[test]
    fn whoever_listens_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let output = std::process::Command::new("sh")
            .args(["-c", super::SCRIPT, "who-listens", &port, "1"])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let (number, who) = told.trim_end().split_once('\t').unwrap();
        assert_eq!(number, port);
        assert!(
            who.contains(&format!("(process {}", std::process::id())),
            "{who}"
        );
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
