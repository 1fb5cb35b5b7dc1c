//! Asking a machine what it is: one script, one round trip.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::{Cgroup, Command, Disk, Facts, Host, HostError};

/// The programs that [`Facts::commands`] is asked about: by the package manager one knows the kind of packages.
const TOOLS: &[&str] = &["apt-get"];

const SECTION: &str = "@@kubexm ";

/// Nothing in it fails the whole: what a machine cannot tell is an empty section. systemd is known by what it sets up
/// first: a login need not see process 1 (`hidepid`).
const SCRIPT: &str = r#"
section() { printf '\n@@kubexm %s\n' "$1"; }
exec 2>/dev/null </dev/null
section began; date +%s.%N
section hostname; cat /proc/sys/kernel/hostname
section machine; uname -m
section kernel; uname -r
section os; cat /etc/os-release || cat /usr/lib/os-release
section init; { test -d /run/systemd/system && echo systemd; } || cat /proc/1/comm || echo unknown
section cpus; nproc || grep -c '^processor' /proc/cpuinfo
section memory; cat /proc/meminfo
section addresses; ip -o addr show scope global || hostname -I
section machine-id; cat /etc/machine-id
section cgroup; test -e /sys/fs/cgroup/cgroup.controllers && echo v2
section mounts; cat /proc/self/mounts
section disks; df -P -l -B1 || df -P -k
section listening; grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6
section filesystems; cat /proc/filesystems
section commands; for name in $TOOLS; do command -v "$name" >/dev/null && echo "$name"; done
section ended; date +%s.%N
exit 0
"#;

/// Asks a host what it is.
pub(crate) async fn facts(host: &(impl Host + ?Sized)) -> Result<Facts, HostError> {
    let asked = Timestamp::now();
    let output = host.run(&command()).await?;
    let answered = Timestamp::now();
    parse(&output.text(), asked, answered).map_err(|why| HostError::Answer {
        command: "the question for facts".to_owned(),
        why,
    })
}

fn command() -> Command {
    Command::script(format!("TOOLS='{}'{SCRIPT}", TOOLS.join(" ")))
}

fn parse(text: &str, asked: Timestamp, answered: Timestamp) -> Result<Facts, String> {
    let sections: BTreeMap<&str, &str> = text
        .split(SECTION)
        .skip(1)
        .map(|section| section.split_once('\n').unwrap_or((section, "")))
        .map(|(name, body)| (name.trim(), body.trim()))
        .collect();
    let section = |name: &str| sections.get(name).copied().unwrap_or_default();
    let needed = |name: &str| match section(name) {
        "" => Err(format!("it does not tell its {name}")),
        body => Ok(body.to_owned()),
    };
    let os = os_release(section("os"));
    let os_field = |key: &str| os.get(key).cloned().unwrap_or_default();
    if os_field("ID").is_empty() {
        return Err("/etc/os-release is missing or has no ID".to_owned());
    }
    let memory = meminfo(section("memory"));
    let (began, ended) = (clock(section("began"))?, clock(section("ended"))?);
    // As NTP does it: what the script itself took is no part of the round trip.
    let ahead = (millis(began) - millis(asked) + millis(ended) - millis(answered)) / 2;
    let round_trip = (millis(answered) - millis(asked)) - (millis(ended) - millis(began));
    Ok(Facts {
        hostname: needed("hostname")?,
        machine: needed("machine")?,
        kernel: needed("kernel")?,
        os: os_field("ID"),
        os_version: os_field("VERSION_ID"),
        os_name: os
            .get("PRETTY_NAME")
            .or(os.get("NAME"))
            .cloned()
            .unwrap_or_default(),
        init: needed("init")?,
        cpus: needed("cpus")?
            .parse()
            .map_err(|_| "it does not tell its cpus".to_owned())?,
        memory_kib: *memory
            .get("MemTotal")
            .ok_or("it does not tell its memory")?,
        swap_kib: memory.get("SwapTotal").copied().unwrap_or_default(),
        addresses: addresses(section("addresses")),
        machine_id: section("machine-id").to_owned(),
        clock: ended,
        clock_ahead_ms: ahead,
        round_trip_ms: round_trip.max(0).unsigned_abs(),
        cgroup: if section("cgroup") == "v2" {
            Cgroup::V2
        } else {
            Cgroup::V1
        },
        disks: disks(section("mounts"), section("disks")),
        listening: listening(section("listening")),
        filesystems: section("filesystems")
            .lines()
            .filter_map(|line| line.split_whitespace().last())
            .map(str::to_owned)
            .collect(),
        commands: section("commands").lines().map(str::to_owned).collect(),
    })
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// Seconds, with or without their fraction: not every `date` knows `%N`.
fn clock(text: &str) -> Result<Timestamp, String> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos = fraction.parse().unwrap_or(0);
    seconds
        .parse()
        .ok()
        .and_then(|seconds| Timestamp::new(seconds, nanos).ok())
        .ok_or_else(|| format!("its clock says \"{text}\""))
}

/// `KEY=value` as a shell would take it.
fn os_release(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.trim().split_once('=')?;
        let inner = value
            .strip_prefix('"')
            .and_then(|v| v.strip_suffix('"'))
            .or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')));
        let mut plain = String::new();
        let mut letters = inner.unwrap_or(value).chars();
        while let Some(letter) = letters.next() {
            plain.extend(if letter == '\\' {
                letters.next()
            } else {
                Some(letter)
            });
        }
        Some((key.to_owned(), plain))
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(pair)
        .collect()
}

fn meminfo(text: &str) -> BTreeMap<&str, u64> {
    let pair = |line: &'_ str| -> Option<(usize, u64)> {
        let (key, value) = line.split_once(':')?;
        Some((
            key.len(),
            value.trim().trim_end_matches(" kB").parse().ok()?,
        ))
    };
    text.lines()
        .filter_map(|line| pair(line).map(|(length, kib)| (&line[..length], kib)))
        .collect()
}

/// Of `ip -o addr` the word after `inet` or `inet6`; of `hostname -I` every word.
fn addresses(text: &str) -> Vec<IpAddr> {
    let address = |word: &str| word.split('/').next()?.parse::<IpAddr>().ok();
    let mut found: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.any(|word| word == "inet" || word == "inet6") {
            found.extend(words.next().and_then(address));
        } else {
            found.extend(line.split_whitespace().filter_map(address));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Kinds and options are the kernel's, sizes are those of `df`.
fn disks(mounts: &str, df: &str) -> BTreeMap<String, Disk> {
    // A later mount hides an earlier one on the same place.
    let mounts: BTreeMap<String, (&str, bool)> = mounts
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, point, kind, options, ..] = words[..] else {
                return None;
            };
            Some((
                unescape(point),
                (kind, options.split(',').any(|option| option == "noexec")),
            ))
        })
        .collect();
    let mut lines = df.lines();
    let unit = if lines
        .next()
        .is_some_and(|header| header.contains("1024-blocks"))
    {
        1024
    } else {
        1
    };
    lines
        .filter_map(|line| {
            // The name of a device may hold blanks, the mount point as well; what is between are numbers.
            let words: Vec<&str> = line.split_whitespace().collect();
            let percent = words
                .iter()
                .position(|word| word.ends_with('%') || *word == "-")?;
            let number = |at: usize| words.get(at)?.parse::<u64>().ok();
            let (size, free) = (number(percent.checked_sub(3)?)?, number(percent - 1)?);
            let point = words[percent + 1..].join(" ");
            let (kind, noexec) = mounts.get(&point)?;
            let (size, free) = (size.saturating_mul(unit), free.saturating_mul(unit));
            Some((
                point,
                Disk {
                    kind: (*kind).to_owned(),
                    size,
                    free,
                    noexec: *noexec,
                },
            ))
        })
        .collect()
}

/// `/proc/self/mounts` writes blanks as octal numbers.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

fn listening(text: &str) -> Vec<u16> {
    let port = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, "0A", ..] = words[..] else {
            return None;
        };
        u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
    };
    let mut ports: Vec<u16> = text.lines().filter_map(port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(edit: impl Fn(&str) -> String) -> String {
        edit(include_str!("fixtures/facts-debian.txt"))
    }

    fn at(seconds: i64, millis: i32) -> Timestamp {
        Timestamp::new(seconds, millis * 1_000_000).unwrap()
    }

    #[test]
    fn a_machine_is_understood() {
        let text = answer(str::to_owned);
        let facts = parse(&text, at(1_763_690_400, 0), at(1_763_690_400, 400)).unwrap();
        insta::assert_yaml_snapshot!(facts);
    }

    #[test]
    fn what_must_be_known_is_named() {
        let without = |what: &str| {
            let text = answer(|text| text.replace(what, ""));
            parse(&text, at(0, 0), at(1, 0)).unwrap_err()
        };
        assert_eq!(
            without("\nID=debian"),
            "/etc/os-release is missing or has no ID"
        );
        assert_eq!(without("x86_64\n"), "it does not tell its machine");
        assert_eq!(without("MemTotal"), "it does not tell its memory");
        assert_eq!(
            parse("", at(0, 0), at(1, 0)).unwrap_err(),
            "/etc/os-release is missing or has no ID"
        );
    }

    #[test]
    fn a_date_without_nanoseconds_still_tells_the_time() {
        assert_eq!(clock("1763690400.%N").unwrap(), at(1_763_690_400, 0));
        assert_eq!(clock("").unwrap_err(), "its clock says \"\"");
    }

    #[test]
    fn addresses_come_from_either_program() {
        let ip = "2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\\       valid_lft forever\n\
                  2: eth0    inet6 fd00::5/64 scope global \\       valid_lft forever";
        assert_eq!(addresses(ip), addresses("10.0.0.5 fd00::5 "));
        assert_eq!(addresses(ip).len(), 2);
    }

    #[tokio::test]
    async fn this_machine_tells_what_it_is() {
        let facts = facts(&crate::local::LocalHost::new(
            "here",
            crate::Redactor::default(),
        ))
        .await
        .unwrap();
        assert!(facts.memory_kib > 0 && facts.cpus > 0, "{facts:?}");
        assert!(facts.disks.contains_key("/"), "{facts:?}");
        assert!(
            facts.commands.iter().all(|command| command == "apt-get"),
            "{facts:?}"
        );
        assert!(
            facts.clock_ahead_ms.unsigned_abs() <= facts.round_trip_ms + 2,
            "{facts:?}"
        );
    }
}
