//! The forms themselves.

use std::net::IpAddr;

/// Of a label of DNS, and of the value of a label of Kubernetes.
pub(super) const LONGEST_LABEL: usize = 63;

pub(super) fn is_label(text: &str) -> bool {
    (1..=LONGEST_LABEL).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// What `useradd` takes, and what directories make of it: `user@domain`, `DOMAIN\user`.
pub(super) fn is_login(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.@\\-".contains(c);
    let name = text.strip_suffix('$').unwrap_or(text);
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !name.ends_with(['@', '\\'])
        && name.chars().all(inner)
}

/// Paths stand in units of systemd, in mounts and in scripts, which take other characters for their own.
pub(super) fn is_absolute_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.split('/').any(|part| part == "..")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c))
}

pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// `172.16.0.300` is a DNS name by its form, and never meant as one.
pub(super) fn looks_like_ip(text: &str) -> bool {
    text.split('.')
        .all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn with_port(text: &str, host: fn(&str) -> bool) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(name, port)| host(name) && is_port(port))
}

pub(super) fn bracketed(text: &str) -> bool {
    let Some((ip, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) else {
        return false;
    };
    is_ip(ip) && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

pub(super) fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

pub(super) fn is_path_part(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(edge)
        && text.ends_with(edge)
        && text.chars().all(|c| edge(c) || "-_.".contains(c))
}

pub(super) fn is_image(text: &str) -> bool {
    let (name, digest) = text
        .split_once('@')
        .map_or((text, None), |(name, digest)| (name, Some(digest)));
    let digest_holds = digest.is_none_or(|digest| {
        digest
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    // A colon after the last slash is a tag's; before it, a port's.
    let start = name.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match name[start..].find(':') {
        Some(at) => (&name[..start + at], Some(&name[start + at + 1..])),
        None => (name, None),
    };
    let tag_holds = tag.is_none_or(|tag| {
        (1..=128).contains(&tag.len())
            && tag
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !tag.starts_with(['-', '.'])
    });
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            (Some(host), path)
        }
        _ => (None, name),
    };
    let host_holds = host.is_none_or(|host| is_name(host) || with_port(host, is_name));
    digest_holds && tag_holds && host_holds && path.split('/').all(is_path_part)
}

pub(super) fn is_hosts_line(line: &str) -> bool {
    let mut words = line
        .split('#')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .peekable();
    if words.peek().is_none() {
        return true;
    }
    let ip = words.next().is_some_and(is_ip);
    let names: Vec<_> = words.collect();
    ip && !names.is_empty() && names.iter().all(|name| is_name(&name.to_ascii_lowercase()))
}

pub(super) fn is_label_word(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.len() <= LONGEST_LABEL
        && text.starts_with(edge)
        && text.ends_with(edge)
        && text.chars().all(|c| edge(c) || "-_.".contains(c))
}

pub(super) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_name(prefix) && is_label_word(name),
        None => is_label_word(text),
    }
}

pub(super) fn is_taint(text: &str) -> bool {
    let Some((head, effect)) = text.rsplit_once(':') else {
        return false;
    };
    let (key, value) = head.split_once('=').unwrap_or((head, ""));
    matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute")
        && is_label_key(key)
        && (value.is_empty() || is_label_word(value))
}

pub(super) fn is_host_key(text: &str) -> bool {
    let base64 = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
    };
    if let Some(fingerprint) = text.strip_prefix("SHA256:") {
        return base64(fingerprint);
    }
    let mut words = text.split_whitespace();
    let kind = words.next().is_some_and(|kind| {
        ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|prefix| kind.starts_with(prefix))
    });
    kind && words
        .next()
        .is_some_and(|key| key.starts_with("AAAA") && base64(key))
}

pub(super) fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(host) = rest.map(|rest| rest.trim_end_matches('/')) else {
        return false;
    };
    is_name(host) || with_port(host, is_name) || bracketed(host)
}

/// As age writes it; or a public key of SSH, perhaps with whose it is.
pub(super) fn is_recipient(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix("age1") {
        return rest.len() == 58
            && rest
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    }
    let mut words = text.split(' ');
    let known = matches!(words.next(), Some("ssh-ed25519" | "ssh-rsa"));
    let key = words.next().unwrap_or_default();
    known
        && key.starts_with("AAAA")
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

pub(super) fn is_timezone(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
    };
    text.split('/').all(part)
}
