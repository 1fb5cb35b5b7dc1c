//! What a registry holds, and what it is to forget: requests that no push needs.

use artifact::Sha256;
use reqwest::header::LINK;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::super::login::Scope;
use super::{Registry, RegistryError};

/// How many names come in one answer.
const PAGE: &str = "1000";
/// More pages than that are no list.
const PAGES: usize = 1_000;

#[derive(Default, Deserialize)]
struct Names {
    #[serde(default)]
    repositories: Option<Vec<String>>,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Registry {
    /// Every repository that it holds.
    pub async fn repositories(&self) -> Result<Vec<String>, RegistryError> {
        let scope = Scope::catalog();
        let found = self.pages("_catalog", &scope, "its list of repositories");
        let named = |names: Names| names.repositories.unwrap_or_default();
        Ok(found.await?.into_iter().flat_map(named).collect())
    }

    /// The tags of a repository; none of one that holds nothing any more.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, RegistryError> {
        let (path, scope) = (format!("{repository}/tags/list"), Scope::push(repository));
        let what = format!("the tags of {repository}");
        let found = self.pages(&path, &scope, &what).await?;
        let named = |names: Names| names.tags.unwrap_or_default();
        Ok(found.into_iter().flat_map(named).collect())
    }

    async fn pages(
        &self,
        path: &str,
        scope: &Scope,
        what: &str,
    ) -> Result<Vec<Names>, RegistryError> {
        let mut url = self.url(path);
        url.query_pairs_mut().append_pair("n", PAGE);
        let (mut next, mut found) = (Some(url), Vec::new());
        while let Some(url) = next {
            let answer = self.ask(Method::GET, url.clone(), scope, |request| request);
            let answer = answer.await?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => break,
                _ => return Err(self.refused(what.to_owned(), answer).await),
            }
            let link = answer.headers().get(LINK);
            next = link.and_then(|link| following(&url, link.to_str().ok()?));
            let body = self.body(answer).await?;
            let names = serde_json::from_slice(&body).map_err(|error| RegistryError::Unusable {
                url: url.to_string(),
                why: format!("{what} cannot be read: {error}"),
            })?;
            found.push(names);
            if found.len() == PAGES {
                return Err(RegistryError::Unusable {
                    url: url.to_string(),
                    why: format!("{what} has no end"),
                });
            }
        }
        Ok(found)
    }

    /// Forgets a manifest with all of its tags. What it names stays until the garbage is collected.
    pub async fn forget(&self, repository: &str, digest: Sha256) -> Result<(), RegistryError> {
        let url = self.url(&format!("{repository}/manifests/{}", digest.oci()));
        let scope = Scope::delete(repository);
        let answer = self.ask(Method::DELETE, url, &scope, |request| request);
        let answer = answer.await?;
        match answer.status() {
            StatusCode::ACCEPTED | StatusCode::NOT_FOUND => Ok(()),
            _ => {
                let what = format!("the removal of {} from {repository}", digest.oci());
                Err(self.refused(what, answer).await)
            }
        }
    }
}

/// `</v2/_catalog?last=x&n=1000>; rel="next"`, where it stays with the registry.
fn following(of: &Url, link: &str) -> Option<Url> {
    let (target, relation) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = relation
        .contains("rel=\"next\"")
        .then(|| of.join(target).ok())??;
    (next.origin() == of.origin()).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_registrys_own() {
        let of: Url = "https://172.16.0.5:5000/v2/_catalog?n=2".parse().unwrap();
        let next = |link: &str| following(&of, link).map(|url| url.to_string());
        let own = "</v2/_catalog?last=b&n=2>; rel=\"next\"";
        assert_eq!(
            next(own).unwrap(),
            "https://172.16.0.5:5000/v2/_catalog?last=b&n=2"
        );
        for other in [
            "<https://elsewhere/v2/_catalog>; rel=\"next\"",
            "</v2/_catalog>; rel=\"first\"",
            "nothing",
        ] {
            assert_eq!(next(other), None, "{other}");
        }
    }
}
