//! What stands between a host's services and its network: `SELinux`, firewalls, proxies.

use engine::{Cx, StepError};
use host::Command;

use super::{Finding, Requirements};
use crate::shell::ask;

/// A boolean of `SELinux` that must be on for a service to do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelinuxBoolean {
    pub name: &'static str,
    pub of: &'static str,
    /// What the policy must allow beside it, for people.
    pub besides: Option<&'static str>,
}

/// What guards a host as it is now.
pub(super) struct Guards {
    /// What keeps a service from its work.
    pub findings: Vec<Finding>,
    /// Firewalls that are at work. Whether they let through what they must is not for us to tell.
    pub firewalls: Vec<String>,
    /// Variables by which systemd gives every service a proxy. They are the owner's.
    pub proxies: Vec<String>,
    /// What lets run only programs that it knows, likewise.
    pub gatekeepers: Vec<String>,
}

const LOOK: &str = r#"PATH=$PATH:/usr/sbin:/sbin
systemctl is-active --quiet firewalld 2>/dev/null && echo firewall firewalld
systemctl is-active --quiet fapolicyd 2>/dev/null && echo gatekeeper fapolicyd
ufw status 2>/dev/null | grep -q '^Status: active' && echo firewall ufw
systemctl show-environment 2>/dev/null | sed -n 's/^\([A-Za-z_]*_[Pp][Rr][Oo][Xx][Yy]\)=..*/proxy \1/p'
[ "$(getenforce 2>/dev/null)" = Enforcing ] || exit 0
off() { case $(getsebool "$1" 2>/dev/null) in *off) echo "boolean $1" ;; esac; }
"#;

pub(super) async fn look(cx: &Cx, wanted: &Requirements) -> Result<Guards, StepError> {
    let booleans = wanted.selinux.iter();
    let booleans: Vec<String> = booleans
        .map(|boolean| format!("off {}", boolean.name))
        .collect();
    let script = format!("{LOOK}{}\ntrue", booleans.join("\n"));
    let answer = ask(cx, Command::script(script)).await?.text();
    let named = |kind: &str| -> Vec<&str> {
        let lines = answer.lines().filter_map(|line| line.split_once(' '));
        let lines = lines.filter(|(what, _)| *what == kind);
        lines.map(|(_, name)| name).collect()
    };
    let off = named("boolean");
    let denied = wanted.selinux.iter();
    let denied = denied.filter(|boolean| off.contains(&boolean.name));
    let findings = denied.map(|SelinuxBoolean { name, of, besides }| {
        let fix = match besides {
            None => format!("setsebool -P {name} on"),
            Some(besides) => format!("setsebool -P {name} on; {besides}"),
        };
        Finding::new(
            format!("SELinux keeps {of} from the ports of others: {name} is off"),
            fix,
        )
    });
    Ok(Guards {
        findings: findings.collect(),
        firewalls: owned(named("firewall")),
        gatekeepers: owned(named("gatekeeper")),
        proxies: owned(named("proxy")),
    })
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn is_active(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{} is active", names.join(" and ")))
}

fn given(variables: &[String]) -> Option<String> {
    (!variables.is_empty())
        .then(|| format!("systemd gives every service {}", variables.join(" and ")))
}

/// A word before it is too late to look for the reason.
pub(super) fn warn(cx: &Cx, guards: &Guards) {
    let demands = [
        (
            is_active(&guards.firewalls),
            "it must let nodes and their pods reach each other; the ports are in docs/installing.md",
        ),
        (
            is_active(&guards.gatekeepers),
            "it must let programs of /usr/local, /opt/cni/bin and of containers run; the rules are in docs/installing.md",
        ),
        (
            given(&guards.proxies),
            "what goes to the site's registry and to the control plane must not go through a proxy; see \
             DefaultEnvironment in /etc/systemd/system.conf",
        ),
    ];
    let (active, warnings): (Vec<String>, Vec<String>) = demands
        .into_iter()
        .filter_map(|(active, demand)| {
            let active = active?;
            let warning = format!("{active}: {demand}");
            Some((active, warning))
        })
        .unzip();
    if !active.is_empty() {
        cx.progress
            .seen(active.join("; "), Some(warnings.join("\n")));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// What a shell answers where these programs are. They are fakes: this machine has no `SELinux`.
    fn answer(programs: &[(&str, &str)]) -> String {
        let dir = tempfile::tempdir().unwrap();
        for (name, body) in programs {
            let path = dir.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let script = format!("{LOOK}off haproxy_connect_any\noff keepalived_connect_any\ntrue");
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("PATH", path)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn what_is_off_counts_where_it_is_enforced() {
        let booleans = (
            "getsebool",
            "case $1 in h*) echo \"$1 --> off\" ;; *) echo \"$1 --> on\" ;; esac",
        );
        let enforcing = [("getenforce", "echo Enforcing"), booleans];
        assert_eq!(answer(&enforcing), "boolean haproxy_connect_any\n");
        let permissive = [("getenforce", "echo Permissive"), booleans];
        assert_eq!(answer(&permissive), "");
    }

    #[test]
    fn a_firewall_is_told_of_while_it_is_at_work() {
        let ufw = |state: &str| format!("echo 'Status: {state}'");
        let idle = ("systemctl", "exit 3");
        assert_eq!(answer(&[idle, ("ufw", &ufw("active"))]), "firewall ufw\n");
        assert_eq!(answer(&[idle, ("ufw", &ufw("inactive"))]), "");
        let firewalld = "[ \"$*\" = 'is-active --quiet firewalld' ]";
        assert_eq!(answer(&[("systemctl", firewalld)]), "firewall firewalld\n");
        let fapolicyd = "[ \"$*\" = 'is-active --quiet fapolicyd' ]";
        assert_eq!(
            answer(&[("systemctl", fapolicyd)]),
            "gatekeeper fapolicyd\n"
        );
    }

    #[test]
    fn proxies_of_all_services_are_told_of() {
        let environment = "[ $1 = show-environment ] || exit 3\n\
                           printf '%s\\n' PATH=/bin HTTPS_PROXY=http://p:1 no_proxy=x ftp_proxy= MY=http_proxy=x";
        assert_eq!(
            answer(&[("systemctl", environment)]),
            "proxy HTTPS_PROXY\nproxy no_proxy\n"
        );
    }
}
