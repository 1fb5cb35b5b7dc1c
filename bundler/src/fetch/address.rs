use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// An `http` or `https` address that cannot leak its credentials: they are kept apart from the URL, and what is printed
/// holds neither them nor a query.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
    login: Option<Login>,
}

/// A user name with its password.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: SecretString,
}

impl Login {
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: SecretString::from(password.into()),
        }
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user && self.password.expose_secret() == other.password.expose_secret()
    }
}

impl Eq for Login {}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.user)
    }
}

/// The text is no address that can be fetched from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{address}' is not an http or https address: {why}")]
pub struct ParseAddressError {
    address: String,
    why: String,
}

impl Address {
    /// The URL without credentials.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Host with its port where that is not the scheme's own: `dl.k8s.io`, `localhost:5000`.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether this very machine answers, so that no proxy can.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
    }

    /// This address with more path, and the query of another: how a mirror names what upstream has.
    #[must_use]
    pub(crate) fn below(&self, path: &str, query: Option<&str>) -> Self {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        url.set_query(query);
        Self {
            url,
            login: self.login.clone(),
        }
    }

    /// Puts the login, if any, on a request.
    pub(crate) fn authorize(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.login {
            Some(login) => request.basic_auth(&login.user, Some(login.password.expose_secret())),
            None => request,
        }
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let error = |why: &str| ParseAddressError {
            address: redact(text),
            why: why.to_owned(),
        };
        let mut url = Url::parse(text).map_err(|e| error(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(error("it must start with http:// or https://"));
        }
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| {
            Login::new(
                decode(url.username()),
                decode(url.password().unwrap_or_default()),
            )
        });
        // Neither can fail for http and https, which always have a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Self { url, login })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.url.query().is_none() {
            return f.write_str(self.url.as_str());
        }
        let mut bare = self.url.clone();
        bare.set_query(None);
        write!(f, "{bare}?…")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands before the last `@` may be a password, even where the rest is no URL.
pub(crate) fn redact(text: &str) -> String {
    let Some(at) = text.rfind('@') else {
        return text.to_owned();
    };
    let start = text[..at].find("//").map_or(0, |slashes| slashes + 2);
    format!("{}***{}", &text[..start], &text[at..])
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let mut byte = [0];
        if *first == b'%' && tail.len() >= 2 && hex::decode_to_slice(&tail[..2], &mut byte).is_ok()
        {
            bytes.push(byte[0]);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_kept_but_never_shown() {
        let address: Address = "https://me:p%40ss@m.example:8443/k/a?token=xyz#frag"
            .parse()
            .unwrap();
        assert_eq!(address.to_string(), "https://m.example:8443/k/a?…");
        assert_eq!(format!("{address:?}"), "https://m.example:8443/k/a?…");
        assert_eq!(
            address.url().as_str(),
            "https://m.example:8443/k/a?token=xyz"
        );
        let login = address.login().unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.expose_secret()),
            ("me", "p@ss")
        );
        assert_eq!(format!("{login:?}"), "me:***");
        assert_eq!(address.authority(), "m.example:8443");
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_credentials() {
        let said = |text: &str| text.parse::<Address>().unwrap_err().to_string();
        insta::assert_snapshot!(said("ftp://m/x"), @"'ftp://m/x' is not an http or https address: it must start with http:// or https://");
        insta::assert_snapshot!(said("http://me:secret@m:port/"), @"'http://***@m:port/' is not an http or https address: invalid port number");
        insta::assert_snapshot!(said("m/x"), @"'m/x' is not an http or https address: relative URL without a base");
    }

    #[test]
    fn this_machine_is_told_from_others() {
        let here = |text: &str| text.parse::<Address>().unwrap().is_loopback();
        assert!(
            here("http://127.0.0.1:1") && here("http://[::1]") && here("http://localhost:5000/x")
        );
        assert!(!here("http://10.0.0.1") && !here("https://localhost.example"));
    }
}
