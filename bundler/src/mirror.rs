//! Where something is asked for instead of upstream: a corporate proxy, a regional mirror, the lab.
//!
//! `HOST=URL` puts URL in place of one upstream host; `*=URL` serves every other host as `URL/host/path`. The same
//! table answers for files and for registries.

use std::collections::BTreeMap;

use crate::fetch::{Address, Login, ParseAddressError, redact};

/// Which hosts are asked elsewhere. The default asks every host itself.
#[derive(Clone, Debug, Default)]
pub struct Mirrors {
    exact: BTreeMap<String, Address>,
    every: Option<Address>,
}

/// A repository, and the registry that is really asked for it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host with port, as it stands in a reference.
    pub registry: String,
    pub repository: String,
    pub scheme: Scheme,
    /// The mirror's own login; upstream's is never sent to a mirror.
    pub login: Option<Login>,
    pub mirrored: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

/// A mirror setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    #[error("mirror '{0}' does not say what it stands for")]
    NoHost(String),
    #[error(
        "mirror for '{host}': a host name is expected before '=', with a port if upstream has one"
    )]
    BadHost { host: String },
    #[error("mirror for '{host}': {source}")]
    BadAddress {
        host: String,
        source: ParseAddressError,
    },
    #[error("mirror for '{host}': its address must not have a query")]
    Query { host: String },
    #[error("mirror for '{host}' is given twice: {first} and {second}")]
    Twice {
        host: String,
        first: String,
        second: String,
    },
}

impl MirrorError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoHost(_) | Self::BadHost { .. } | Self::BadAddress { .. } => {
                "write HOST=URL, e.g. dl.k8s.io=https://mirror.example/k8s, or '*=URL' for every host".to_owned()
            }
            Self::Query { .. } => "paths are appended to the address: leave out everything from '?'".to_owned(),
            Self::Twice { host, .. } => format!("keep one mirror for {host}"),
        })
    }
}

impl Mirrors {
    /// Reads settings of one mirror each: an address may hold a comma.
    pub fn parse<'a>(settings: impl IntoIterator<Item = &'a str>) -> Result<Self, MirrorError> {
        let mut mirrors = Self::default();
        let words = settings.into_iter().map(str::trim);
        for word in words.filter(|word| !word.is_empty()) {
            mirrors.add(word)?;
        }
        Ok(mirrors)
    }

    /// Reads a list of settings, apart by white space, or by commas where another `HOST=` follows.
    pub fn parse_list(list: &str) -> Result<Self, MirrorError> {
        let mut settings: Vec<String> = Vec::new();
        for word in list.split_whitespace() {
            for (place, piece) in word.split(',').enumerate() {
                match settings.last_mut() {
                    Some(open) if place > 0 && !begins_setting(piece) => {
                        open.push(',');
                        open.push_str(piece);
                    }
                    _ => settings.push(piece.to_owned()),
                }
            }
        }
        let whole = settings.iter().map(|setting| setting.trim_end_matches(','));
        Self::parse(whole)
    }

    /// These mirrors, and `others` for the hosts that have none here.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (host, address) in others.exact {
            self.exact.entry(host).or_insert(address);
        }
        self.every = self.every.or(others.every);
        self
    }

    /// Where a file is really fetched from.
    #[must_use]
    pub fn file(&self, upstream: &Address) -> Address {
        let host = upstream.authority();
        let (path, query) = (upstream.url().path(), upstream.url().query());
        if let Some(mirror) = self.exact.get(&host) {
            mirror.below(path, query)
        } else if let Some(mirror) = &self.every {
            mirror.below(&format!("{host}{path}"), query)
        } else {
            upstream.clone()
        }
    }

    /// Where a repository is really pulled from.
    #[must_use]
    pub fn registry(&self, registry: &str, repository: &str) -> Endpoint {
        let (mirror, name) = if let Some(mirror) = self.exact.get(registry) {
            (mirror, repository.to_owned())
        } else if let Some(mirror) = &self.every {
            // A repository's name has no room for the colon of a port.
            (
                mirror,
                format!("{}/{repository}", registry.replace(':', "_")),
            )
        } else {
            return Endpoint {
                registry: registry.to_owned(),
                repository: repository.to_owned(),
                scheme: Scheme::Https,
                login: None,
                mirrored: false,
            };
        };
        let path = mirror.below(&name, None);
        Endpoint {
            registry: mirror.authority(),
            repository: path.url().path().trim_start_matches('/').to_owned(),
            scheme: if mirror.url().scheme() == "http" {
                Scheme::Http
            } else {
                Scheme::Https
            },
            login: mirror.login().cloned(),
            mirrored: true,
        }
    }

    fn add(&mut self, word: &str) -> Result<(), MirrorError> {
        let Some((host, address)) = word
            .split_once('=')
            .filter(|(host, _)| !host.contains("//"))
        else {
            return Err(MirrorError::NoHost(redact(word)));
        };
        let known =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_');
        if host != "*" && (host.is_empty() || !host.chars().all(known)) {
            let host = host.rsplit('@').next().unwrap_or_default().to_owned();
            return Err(MirrorError::BadHost { host });
        }
        let host = host.to_ascii_lowercase();
        let address: Address = address.parse().map_err(|source| MirrorError::BadAddress {
            host: host.clone(),
            source,
        })?;
        if address.url().query().is_some() {
            return Err(MirrorError::Query { host });
        }
        let before = if host == "*" {
            self.every.replace(address.clone())
        } else {
            self.exact.insert(host.clone(), address.clone())
        };
        match before {
            Some(first) if first != address => Err(MirrorError::Twice {
                host,
                first: first.to_string(),
                second: address.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// Whether this is `HOST=URL`, and not the rest of an address.
fn begins_setting(text: &str) -> bool {
    text.split_once('=').is_some_and(|(_, address)| {
        address.starts_with("http://") || address.starts_with("https://")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mirrors: &str, upstream: &str) -> String {
        Mirrors::parse_list(mirrors)
            .unwrap()
            .file(&upstream.parse().unwrap())
            .url()
            .to_string()
    }

    fn image(mirrors: &str, registry: &str, repository: &str) -> String {
        let at = Mirrors::parse_list(mirrors)
            .unwrap()
            .registry(registry, repository);
        format!("{:?} {} {}", at.scheme, at.registry, at.repository)
    }

    #[test]
    fn files_are_asked_at_the_mirror() {
        let url = "https://dl.k8s.io/release/x";
        assert_eq!(file("", url), url);
        assert_eq!(
            file("dl.k8s.io=http://m:1/k", url),
            "http://m:1/k/release/x"
        );
        assert_eq!(
            file("dl.k8s.io=http://m:1/k/", url),
            "http://m:1/k/release/x"
        );
        assert_eq!(file("*=http://m:1", url), "http://m:1/dl.k8s.io/release/x");
        assert_eq!(
            file("*=http://m:1,dl.k8s.io=https://n", url),
            "https://n/release/x"
        );
        assert_eq!(file("github.com=http://m:1", url), url);
        assert_eq!(
            file("*=http://m:1", "http://up:81/x?y=1"),
            "http://m:1/up:81/x?y=1"
        );
        assert_eq!(
            file("DL.K8S.IO=http://m", "https://dl.k8s.io:443/x%20y"),
            "http://m/x%20y"
        );
    }

    #[test]
    fn images_are_asked_at_the_mirror() {
        let pause = |mirrors| image(mirrors, "registry.k8s.io", "pause");
        assert_eq!(pause(""), "Https registry.k8s.io pause");
        assert_eq!(pause("*=http://m:1"), "Http m:1 registry.k8s.io/pause");
        assert_eq!(
            pause("registry.k8s.io=http://m:2/proxy"),
            "Http m:2 proxy/pause"
        );
        assert_eq!(
            pause("*=http://m:1 registry.k8s.io=https://m"),
            "Https m pause"
        );
        assert_eq!(
            image("*=http://m:1", "localhost:5000", "a/b"),
            "Http m:1 localhost_5000/a/b"
        );
    }

    #[test]
    fn the_command_line_beats_the_environment() {
        let flags = Mirrors::parse(["a=http://flag"]).unwrap();
        let environment = Mirrors::parse_list("a=http://env, *=http://every").unwrap();
        let both = flags.or(environment);
        assert_eq!(
            both.file(&"https://a/x".parse().unwrap()).to_string(),
            "http://flag/x"
        );
        assert_eq!(
            both.file(&"https://b/x".parse().unwrap()).to_string(),
            "http://every/b/x"
        );
    }

    #[test]
    fn a_comma_of_an_address_parts_nothing() {
        let flag = Mirrors::parse(["a=http://me:p,w@m/k,l"]).unwrap();
        let listed = Mirrors::parse_list("b=http://n,a=http://me:p,w@m/k,l,c=http://o").unwrap();
        for mirrors in [flag, listed] {
            let address = mirrors.file(&"https://a/x".parse().unwrap());
            assert_eq!(address.to_string(), "http://m/k,l/x");
            assert_eq!(address.login(), Some(&Login::new("me", "p,w")));
        }
    }

    #[test]
    fn a_malformed_mirror_says_what_is_expected() {
        let said = |text: &str| {
            let error = Mirrors::parse_list(text).unwrap_err();
            format!("{error}\nhint: {}", error.hint().unwrap())
        };
        insta::assert_snapshot!(said("http://me:pw@m/"), @r"
        mirror 'http://***@m/' does not say what it stands for
        hint: write HOST=URL, e.g. dl.k8s.io=https://mirror.example/k8s, or '*=URL' for every host
        ");
        insta::assert_snapshot!(said("a/b=http://m"), @r"
        mirror for 'a/b': a host name is expected before '=', with a port if upstream has one
        hint: write HOST=URL, e.g. dl.k8s.io=https://mirror.example/k8s, or '*=URL' for every host
        ");
        insta::assert_snapshot!(said("*=m:1"), @r"
        mirror for '*': 'm:1' is not an http or https address: it must start with http:// or https://
        hint: write HOST=URL, e.g. dl.k8s.io=https://mirror.example/k8s, or '*=URL' for every host
        ");
        insta::assert_snapshot!(said("a=http://m/?x=1"), @r"
        mirror for 'a': its address must not have a query
        hint: paths are appended to the address: leave out everything from '?'
        ");
        insta::assert_snapshot!(said("a=http://m,a=http://n"), @r"
        mirror for 'a' is given twice: http://m/ and http://n/
        hint: keep one mirror for a
        ");
    }
}
