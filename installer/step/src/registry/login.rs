//! Who asks a registry: by name and password with each request, or by tokens where the registry wants that.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{LoginManner, RegistryCredentials, RegistryError};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// What a token is good for if nobody says it.
const SHORTEST_LIFE: Duration = Duration::from_mins(1);
/// One that ends so soon is not used any more.
const SPARE: Duration = Duration::from_secs(10);

/// As what a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    ByName,
    ByToken,
}

/// What a request needs the right to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope(Vec<String>);

impl Scope {
    pub fn none() -> Self {
        Self(Vec::new())
    }

    pub fn push(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull,push")])
    }

    pub fn delete(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:delete,pull,push")])
    }

    pub fn catalog() -> Self {
        Self(vec!["registry:catalog:*".to_owned()])
    }

    pub fn mount(repository: &str, from: &str) -> Self {
        let Self(mut scopes) = Self::push(repository);
        scopes.push(format!("repository:{from}:pull"));
        Self(scopes)
    }
}

pub(crate) struct Login {
    client: Client,
    /// The registry, for messages.
    name: String,
    is_encrypted: bool,
    credentials: Option<RegistryCredentials>,
    tokens: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    /// Who gives them; none as long as the registry asks for none.
    giver: Option<Giver>,
    held: BTreeMap<Scope, Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Giver {
    realm: String,
    service: Option<String>,
}

struct Token {
    value: SecretString,
    until: Instant,
}

/// What a token server answers.
#[derive(Deserialize)]
struct Given {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<u64>,
}

impl Login {
    pub fn new(
        client: Client,
        name: String,
        base: &Url,
        credentials: Option<RegistryCredentials>,
    ) -> Self {
        Self {
            client,
            name,
            is_encrypted: base.scheme() == "https",
            credentials,
            tokens: Mutex::default(),
        }
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, Tokens> {
        let tokens = self.tokens.lock();
        tokens.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How the registry has taken the login so far.
    pub fn manner(&self) -> LoginManner {
        match self.tokens().giver {
            Some(_) => LoginManner::Token,
            None => LoginManner::Basic,
        }
    }

    /// Whether the account itself was taken already.
    pub fn is_known(&self) -> bool {
        !self.tokens().held.is_empty()
    }

    /// A request with whatever the registry wants to see.
    pub async fn sign(
        &self,
        request: RequestBuilder,
        scope: &Scope,
    ) -> Result<(RequestBuilder, Signed), RegistryError> {
        let giver = self.tokens().giver.clone();
        let Some(giver) = giver else {
            return Ok((self.by_name(request), Signed::ByName));
        };
        let held = self.held(scope);
        let token = match held {
            Some(token) => token,
            None => self.fetch(&giver, scope).await?,
        };
        let request = request.bearer_auth(token.expose_secret());
        Ok((request, Signed::ByToken))
    }

    fn by_name(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Some(RegistryCredentials { username, password }) => {
                request.basic_auth(username, Some(password.expose_secret()))
            }
            None => request,
        }
    }

    fn held(&self, scope: &Scope) -> Option<SecretString> {
        let tokens = self.tokens();
        let token = tokens.held.get(scope)?;
        (token.until > Instant::now() + SPARE).then(|| token.value.clone())
    }

    /// Takes note of what a registry that refuses asks for; whether it is worth to ask again. Many are asked at once, and all but the
    /// first find it noted.
    pub fn challenged(&self, answer: &Response, scope: &Scope, signed: Signed) -> bool {
        let challenges = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let mut givers = challenges.filter_map(|challenge| giver(challenge.to_str().ok()?));
        let Some(giver) = givers.next() else {
            return false;
        };
        let mut tokens = self.tokens();
        tokens.giver = Some(giver);
        match signed {
            Signed::ByName => true,
            Signed::ByToken => tokens.held.remove(scope).is_some(),
        }
    }

    async fn fetch(&self, giver: &Giver, scope: &Scope) -> Result<SecretString, RegistryError> {
        let elsewhere = |why: String| RegistryError::Realm {
            registry: self.name.clone(),
            realm: giver.realm.clone(),
            why,
        };
        let mut url = Url::parse(&giver.realm).map_err(|error| elsewhere(error.to_string()))?;
        if self.is_encrypted && url.scheme() != "https" {
            return Err(elsewhere("it has no TLS, and the registry has".to_owned()));
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &giver.service {
                query.append_pair("service", service);
            }
            for scope in &scope.0 {
                query.append_pair("scope", scope);
            }
        }
        let request = self.by_name(self.client.get(url)).timeout(ANSWER_TIMEOUT);
        let answer = request
            .send()
            .await
            .map_err(|error| RegistryError::unanswered(self.name.clone(), &error))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(RegistryError::Login {
                    registry: self.name.clone(),
                    words: format!("{} gives no token", giver.realm),
                });
            }
            status => {
                return Err(RegistryError::Answer {
                    registry: self.name.clone(),
                    what: "a login".to_owned(),
                    status,
                    words: format!("from {}", giver.realm),
                });
            }
        }
        let asked = Instant::now();
        let told: Given = answer
            .json()
            .await
            .map_err(|_| elsewhere("its answer is no token".to_owned()))?;
        let life = told.expires_in.map_or(SHORTEST_LIFE, Duration::from_secs);
        let value = told.token.or(told.access_token);
        let value = value.ok_or_else(|| elsewhere("its answer has no token".to_owned()))?;
        let token = Token {
            value: value.clone(),
            until: asked + life,
        };
        self.tokens().held.insert(scope.clone(), token);
        Ok(value)
    }
}

/// `Bearer realm="https://auth.corp/token",service="hub.corp",scope="..."`
fn giver(challenge: &str) -> Option<Giver> {
    let (scheme, rest) = challenge.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let value = |key: &str| {
        let mut at = rest;
        // A value may hold a comma: only what is outside of quotes is a key.
        loop {
            let (name, after) = at.split_once('=')?;
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            if name
                .trim()
                .trim_start_matches(',')
                .trim()
                .eq_ignore_ascii_case(key)
            {
                return Some(value.to_owned());
            }
            at = after;
        }
    };
    Some(Giver {
        realm: value("realm")?,
        service: value("service"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_who_gives_tokens() {
        let of = |text| giver(text).map(|giver| (giver.realm, giver.service));
        assert_eq!(
            of(
                r#"Bearer realm="https://auth.corp/token?a=b",service="hub, of corp",scope="repository:a:pull,push""#
            ),
            Some((
                "https://auth.corp/token?a=b".to_owned(),
                Some("hub, of corp".to_owned())
            ))
        );
        assert_eq!(
            of(r#"bearer service=hub, realm="https://a""#),
            Some(("https://a".to_owned(), Some("hub".to_owned())))
        );
        assert_eq!(of(r#"Basic realm="harbor""#), None);
        assert_eq!(of("Bearer realm"), None);
    }
}
