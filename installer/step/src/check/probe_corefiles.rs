//! What the probe pods are told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::probe_pods::{Found, HTTP_PORT, ProbePods, ZONE};

pub(super) const DNS_PORT: u16 = 5300;
pub(super) const READY_PORT: u16 = 8181;
/// Together more than any packet holds: a network that loses large packets is found out.
pub(super) const FILLING: (usize, usize) = (12, 250);

/// What a target answers: its node's name, and much more.
pub(super) fn target_corefile(node: &str) -> String {
    let (strings, length) = FILLING;
    let filling = vec![format!("\\\"{}\\\"", "x".repeat(length)); strings].join(" ");
    format!(
        ".:{DNS_PORT} {{\n    template IN TXT {ZONE} {{\n        \
         answer \"{{{{ .Name }}}} 0 IN TXT {node} {filling}\"\n    }}\n    ready :{READY_PORT}\n}}\n"
    )
}

/// Where an asker passes each question on to; `asked` are places and names of nodes.
pub(super) fn asker_corefile<'a>(
    asked: impl Iterator<Item = (usize, &'a str)>,
    targets: &BTreeMap<String, Found>,
    service: &str,
) -> String {
    let addressed = |(at, node): (usize, &str)| {
        let address = targets.get(node)?.as_ref().ok()?;
        let address = in_url(address);
        Some((
            ProbePods::name_of_target(at),
            format!("{address}:{DNS_PORT}"),
        ))
    };
    let service = (
        ProbePods::name_of_service(),
        format!("{}:53", in_url(service)),
    );
    let forwards = asked.filter_map(addressed).chain([service]);
    let mut text = String::new();
    for (name, to) in forwards {
        let _ = writeln!(
            text,
            "https://{name}:{HTTP_PORT} {{\n    forward . {to} {{\n        force_tcp\n    }}\n}}"
        );
    }
    format!(
        "{text}https://.:{HTTP_PORT} {{\n    forward . /etc/resolv.conf\n}}\n\
         .:{DNS_PORT} {{\n    ready :{READY_PORT}\n}}\n"
    )
}

fn in_url(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<String> {
        ["node1", "node2", "node3"].map(ToOwned::to_owned).into()
    }

    fn targets() -> BTreeMap<String, Found> {
        [
            ("node1", Ok("10.233.64.5".to_owned())),
            ("node2", Ok("fd00::5".to_owned())),
            ("node3", Err("it is Pending".to_owned())),
        ]
        .map(|(node, found)| (node.to_owned(), found))
        .into()
    }

    #[test]
    fn a_target_answers_its_nodes_name_and_much_more() {
        let text = target_corefile("node1").replace(&"x".repeat(FILLING.1), "x...");
        insta::assert_snapshot!(text, @r#"
        .:5300 {
            template IN TXT kubexm-check {
                answer "{{ .Name }} 0 IN TXT node1 \"x...\" \"x...\" \"x...\" \"x...\" \"x...\" \"x...\" \"x...\" \"x...\" \"x...\" \"x...\" \"x...\" \"x...\""
            }
            ready :8181
        }
        "#);
    }

    #[test]
    fn an_asker_knows_every_target_that_runs() {
        let nodes = nodes();
        let asked = nodes.iter().map(String::as_str).enumerate();
        insta::assert_snapshot!(asker_corefile(asked, &targets(), "10.233.0.77"), @r"
        https://p0.kubexm-check:8053 {
            forward . 10.233.64.5:5300 {
                force_tcp
            }
        }
        https://p1.kubexm-check:8053 {
            forward . [fd00::5]:5300 {
                force_tcp
            }
        }
        https://service.kubexm-check:8053 {
            forward . 10.233.0.77:53 {
                force_tcp
            }
        }
        https://.:8053 {
            forward . /etc/resolv.conf
        }
        .:5300 {
            ready :8181
        }
        ");
    }
}
