//! The forms of text that the schema names with `format`.

mod forms;

use std::str::FromStr;

use self::forms::{
    LONGEST_LABEL, bracketed, is_absolute_path, is_host_key, is_hosts_line, is_http_url, is_image,
    is_ip, is_label, is_label_key, is_label_word, is_login, is_name, is_path_part, is_taint,
    is_timezone, looks_like_ip, with_port,
};
use crate::{Cidr, CidrPair, HostPattern, IpPair, Os, Tag, Version};

/// What is wrong with a text, and how it should be.
#[derive(Debug)]
pub(crate) struct Misformed {
    pub message: String,
    pub hint: Option<String>,
}

/// Whether a value of a wrong form can still be held by its type, so that other checks can go on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Anyway,
    Never,
}

/// Judges the text by the format's rule. A format without a rule here is a mistake in the types; a test finds it.
pub(crate) fn check(format: &str, text: &str) -> (Held, Result<(), Misformed>) {
    match format {
        "version" => typed::<Version, _>(text, crate::InvalidVersion::hint),
        "tag" => typed::<Tag, _>(text, crate::InvalidTag::hint),
        "ip-pair" => typed::<IpPair, _>(text, crate::InvalidAddress::hint),
        "cidr-block" => typed::<Cidr, _>(text, crate::InvalidAddress::hint),
        "cidr-pair" => typed::<CidrPair, _>(text, crate::InvalidAddress::hint),
        "host-pattern" => typed::<HostPattern, _>(text, crate::InvalidPattern::hint),
        "os" => typed::<Os, _>(text, crate::InvalidOs::hint),
        "hosts-file" => (
            Held::Anyway,
            text.lines()
                .try_for_each(|line| check("hosts-line", line).1),
        ),
        _ => (
            Held::Anyway,
            rule(format).map_or(Ok(()), |rule| rule.judge(text)),
        ),
    }
}

/// Whether there is a rule for the format.
#[cfg(test)]
pub(crate) fn is_known(format: &str) -> bool {
    ["version", "tag", "ip-pair", "cidr-block", "cidr-pair", "host-pattern", "os", "hosts-file"].contains(&format)
        || rule(format).is_some()
        // The widths of integers, which schemars notes; minimum and maximum say the same.
        || format.starts_with("uint") || format.starts_with("int")
}

fn typed<T: FromStr, H>(text: &str, hint: H) -> (Held, Result<(), Misformed>)
where
    T::Err: std::fmt::Display,
    H: Fn(&T::Err) -> Option<String>,
{
    let judged = text.parse::<T>().map(|_| ()).map_err(|error| Misformed {
        message: error.to_string(),
        hint: hint(&error),
    });
    (Held::Never, judged)
}

/// A text as a message shows it: on one line, and no longer than people read.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    let more = if text.chars().nth(LONGEST).is_some() {
        "..."
    } else {
        ""
    };
    format!("'{}{more}'", line.trim_end())
}

struct Rule {
    holds: fn(&str) -> bool,
    /// What the text is not: "'x' is not {what}".
    what: &'static str,
    hint: &'static str,
}

impl Rule {
    fn judge(&self, text: &str) -> Result<(), Misformed> {
        if (self.holds)(text) {
            return Ok(());
        }
        Err(Misformed {
            message: format!("{} is not {}", quoted(text), self.what),
            hint: Some(self.hint.to_owned()),
        })
    }
}

/// Every rule, by its format.
const RULES: &[(&str, Rule)] = &[
    (
        "dns-label",
        Rule {
            holds: is_label,
            what: "a DNS label",
            hint: "use lower-case letters, digits and '-', at most 63, with a letter or digit at both ends",
        },
    ),
    (
        "dns-name",
        Rule {
            holds: is_name,
            what: "a DNS name",
            hint: "use lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part",
        },
    ),
    (
        "node-name",
        Rule {
            holds: |text| is_name(text) && text.len() <= LONGEST_LABEL,
            what: "the name of a node",
            hint: "use lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part, and at most \
                   63 characters: the name is a label of the node, too",
        },
    ),
    (
        "login",
        Rule {
            holds: is_login,
            what: "the name of a login",
            hint: "give the name alone, e.g. root or ubuntu; the address and the port have keys of their own",
        },
    ),
    (
        "ip-or-name",
        Rule {
            holds: |text| is_ip(text) || is_name(text) && !looks_like_ip(text),
            what: "an IP address or a DNS name",
            hint: "give one address without port or mask",
        },
    ),
    (
        "ip-port",
        Rule {
            holds: |text| is_ip(text) || with_port(text, is_ip) || bracketed(text),
            what: "an IP address",
            hint: "give an IP address, with a port if it is not 53: 10.0.0.2 or 10.0.0.2:5353",
        },
    ),
    (
        "zone",
        Rule {
            holds: |text| {
                text == "." || is_name(text.trim_end_matches('.')) || with_port(text, is_name)
            },
            what: "a DNS zone",
            hint: "give a domain, with a port if it is not 53: example.com or example.com:1053",
        },
    ),
    (
        "registry-domain",
        Rule {
            holds: |text| is_name(text) || with_port(text, is_name),
            what: "a registry's domain",
            hint: "give a domain, with a port if need be: registry.example.com:5000, without https://",
        },
    ),
    (
        "namespace",
        Rule {
            holds: |text| text.is_empty() || text.split('/').all(is_path_part),
            what: "a project of a registry",
            hint: "use lower-case letters, digits, '-', '_' and '.'; '/' between levels",
        },
    ),
    (
        "image",
        Rule {
            holds: is_image,
            what: "an image reference",
            hint: "write it as registry/name:tag or registry/name@sha256:..., e.g. docker.io/library/nginx:1.29",
        },
    ),
    (
        "hosts-line",
        Rule {
            holds: is_hosts_line,
            what: "a line of /etc/hosts",
            hint: "write it as: ADDRESS NAME [NAME...]",
        },
    ),
    (
        "label-key",
        Rule {
            holds: is_label_key,
            what: "a key of a label",
            hint: "write it as name or example.com/name, the name at most 63 characters",
        },
    ),
    (
        "label-value",
        Rule {
            holds: |text| text.is_empty() || is_label_word(text),
            what: "a value of a label",
            hint: "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        },
    ),
    (
        "taint",
        Rule {
            holds: is_taint,
            what: "a taint",
            hint: "write it as key=value:Effect, the effect NoSchedule, PreferNoSchedule or NoExecute",
        },
    ),
    (
        "ssh-host-key",
        Rule {
            holds: is_host_key,
            what: "a public SSH host key",
            hint: "give what ssh-keyscan prints after the name (ssh-ed25519 AAAA...), or a fingerprint (SHA256:...)",
        },
    ),
    (
        "flag",
        Rule {
            holds: |text| {
                text.strip_prefix("--")
                    .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
            },
            what: "a flag",
            hint: "write it as --name=value",
        },
    ),
    (
        "flag-name",
        Rule {
            holds: |text| {
                text.starts_with(|c: char| c.is_ascii_lowercase())
                    && text
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            },
            what: "the name of an argument",
            hint: "write it without dashes in front and without a value: profiling",
        },
    ),
    (
        "http-url",
        Rule {
            holds: is_http_url,
            what: "a URL",
            hint: "write it as https://192.168.6.6:2379",
        },
    ),
    (
        "timezone",
        Rule {
            holds: is_timezone,
            what: "a time zone",
            hint: "give a name of the tz database, e.g. Asia/Shanghai or UTC",
        },
    ),
    (
        "package",
        Rule {
            holds: |text| {
                text.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-._:=~".contains(c))
                    && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            },
            what: "the name of a package",
            hint: "one name an item, e.g. nfs-common",
        },
    ),
    ("absolute-path", PATH),
    // That nobody else keeps anything in it is for `validate` to see.
    ("data-directory", PATH),
];

const PATH: Rule = Rule {
    holds: is_absolute_path,
    what: "an absolute path",
    hint: "start it with '/', leave '..' out, and take letters, digits and '.', '_', '-', '+', '@' alone",
};

fn rule(format: &str) -> Option<&'static Rule> {
    RULES
        .iter()
        .find(|(name, _)| *name == format)
        .map(|(_, rule)| rule)
}

#[cfg(test)]
mod tests;
