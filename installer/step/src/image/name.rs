//! Where an image of the world lies in the site's registry.
//!
//! `registry.k8s.io/pause:3.10` becomes `registry.k8s.io/pause:3.10` of the site: the original host is the first part
//! of the repository, so that no two registries can collide, and one prefix per host is all that a runtime must know.

use std::fmt;

use artifact::Sha256;

/// How the site's registry names the images of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteNames {
    /// The registry itself as it stands in a reference: `hub.corp:5000`.
    pub authority: String,
    /// The project that everything is put into.
    pub namespace: Option<String>,
}

impl SiteNames {
    /// What an image of the world is called in the site: `hub.corp:5000/registry.k8s.io/pause:3.10`.
    #[must_use]
    pub(crate) fn of(&self, reference: &str) -> String {
        let (host, rest) = reference.split_once('/').unwrap_or(("", reference));
        let authority = &self.authority;
        match self.prefix(host) {
            Some(prefix) => format!("{authority}/{prefix}/{rest}"),
            None => format!("{authority}/{rest}"),
        }
    }

    /// What every repository of a registry host begins with, without slashes around it. None for the site's registry
    /// itself: its own images are named as they are.
    #[must_use]
    pub fn prefix(&self, host: &str) -> Option<String> {
        if host == self.authority {
            return None;
        }
        // A repository may hold no colon and no bracket: `reg.corp:5000` becomes `reg.corp_5000`, which is no host name.
        let host = host.to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let parts: Vec<&str> = host
            .split(|c| !plain(c))
            .filter(|part| !part.is_empty())
            .collect();
        let host = parts.join("_");
        let namespace = self.namespace.as_deref().map(|name| name.trim_matches('/'));
        Some(match namespace.filter(|name| !name.is_empty()) {
            Some(namespace) => format!("{namespace}/{host}"),
            None => host,
        })
    }
}

impl SiteNames {
    /// The repository that an image of the bundle has there; none for what cannot be pushed.
    #[must_use]
    pub fn repository(&self, reference: &str, digest: Sha256) -> Option<String> {
        let image = SiteImage::of(self, reference, digest).ok()?;
        Some(image.repository)
    }
}

impl SiteNames {
    /// Where an image of the world lies there: its repository, and its tag or digest.
    #[must_use]
    pub fn place(&self, reference: &str) -> Option<(String, String)> {
        let pinned = reference.split_once('@').map(|(_, digest)| digest.parse());
        let digest = pinned.unwrap_or_else(|| Ok(Sha256::of(b""))).ok()?;
        let image = SiteImage::of(self, reference, digest).ok()?;
        Some((image.repository, image.tag))
    }
}

/// An image in the site's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteImage {
    pub repository: String,
    /// The tag, or the digest where the image is named by digest alone.
    pub tag: String,
}

/// The reference names no image that could be pushed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error(
        "'{0}' is no full image reference: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST expected"
    )]
    Incomplete(String),
    #[error("{reference} asks for another digest than the bundle holds: {found}")]
    OtherDigest { reference: String, found: Sha256 },
}

impl SiteImage {
    /// `digest` is what the tree holds for the reference.
    pub fn of(names: &SiteNames, reference: &str, digest: Sha256) -> Result<Self, NameError> {
        let incomplete = || NameError::Incomplete(reference.to_owned());
        let (host, rest) = reference.split_once('/').ok_or_else(incomplete)?;
        let (rest, pinned) = match rest.split_once('@') {
            Some((rest, pinned)) => (rest, Some(pinned)),
            None => (rest, None),
        };
        if pinned.is_some_and(|pinned| pinned != digest.oci()) {
            return Err(NameError::OtherDigest {
                reference: reference.to_owned(),
                found: digest,
            });
        }
        let (path, tag) = match (rest.rsplit_once(':'), pinned) {
            (Some((path, tag)), _) => (path, tag),
            (None, Some(pinned)) => (rest, pinned),
            (None, None) => return Err(incomplete()),
        };
        if host.is_empty() || path.is_empty() || tag.is_empty() {
            return Err(incomplete());
        }
        Ok(Self {
            repository: match names.prefix(host) {
                Some(prefix) => format!("{prefix}/{path}"),
                None => path.to_owned(),
            },
            tag: tag.to_owned(),
        })
    }
}

impl fmt::Display for SiteImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.tag.contains(':') { '@' } else { ':' };
        write!(f, "{}{at}{}", self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(namespace: Option<&str>, reference: &str) -> String {
        let names = SiteNames {
            authority: "hub.corp:5000".into(),
            namespace: namespace.map(Into::into),
        };
        match SiteImage::of(&names, reference, Sha256::of(b"")) {
            Ok(image) => image.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_image_keeps_its_whole_name() {
        let pinned =
            "quay.io/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(
            site(None, "registry.k8s.io/pause:3.10"),
            "registry.k8s.io/pause:3.10"
        );
        assert_eq!(
            site(Some("/k8s/"), "docker.io/library/nginx:1"),
            "k8s/docker.io/library/nginx:1"
        );
        assert_eq!(
            site(None, "Reg.corp:5000/team/app:v1"),
            "reg.corp_5000/team/app:v1"
        );
        assert_eq!(site(None, "[fd00::1]:5000/app:v1"), "fd00_1_5000/app:v1");
        assert_eq!(
            site(Some("k8s"), "hub.corp:5000/team/app:v1"),
            "team/app:v1"
        );
        assert_eq!(site(None, pinned), pinned);
        assert_eq!(site(None, &pinned.replace('@', ":v1@")), "quay.io/a/b:v1");
    }

    #[test]
    fn what_cannot_be_pushed_is_said() {
        insta::assert_snapshot!(site(None, "nginx"), @"'nginx' is no full image reference: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST expected");
        insta::assert_snapshot!(site(None, "quay.io/a/b"), @"'quay.io/a/b' is no full image reference: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST expected");
        insta::assert_snapshot!(site(None, "quay.io/a@sha256:00"), @"quay.io/a@sha256:00 asks for another digest than the bundle holds: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
