//! What Harbor has beside the distribution API: health, projects and robot accounts.

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::login::Scope;
use super::{Registry, RegistryError};

/// How Harbor is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HarborHealth {
    Well,
    /// And what of it is not well.
    Ailing(Vec<String>),
}

/// What a robot account may do, in all projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotRights {
    Pull,
    PullAndPush,
}

impl RobotRights {
    const fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Pull => &["pull"],
            Self::PullAndPush => &["pull", "push"],
        }
    }

    fn permissions(self) -> Value {
        let access = self.actions().iter();
        let access: Vec<Value> = access
            .map(|action| json!({"resource": "repository", "action": action}))
            .collect();
        json!([{"kind": "project", "namespace": "*", "access": access}])
    }
}

/// A robot account as Harbor tells of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Robot {
    pub id: i64,
    pub name: String,
    #[serde(default)]
    pub disable: bool,
    #[serde(default)]
    pub duration: i64,
    #[serde(default)]
    permissions: Vec<Permission>,
}

#[derive(Clone, Debug, Deserialize)]
struct Permission {
    kind: String,
    namespace: String,
    #[serde(default)]
    access: Vec<Access>,
}

#[derive(Clone, Debug, Deserialize)]
struct Access {
    resource: String,
    action: String,
}

impl Robot {
    /// Whether it works until somebody takes it away.
    pub fn lasts(&self) -> bool {
        !self.disable && self.duration == ENDS
    }

    pub fn has(&self, rights: RobotRights) -> bool {
        let [of_all] = self.permissions.as_slice() else {
            return false;
        };
        let may = |action: &&str| {
            let mut access = of_all.access.iter();
            access.any(|access| access.resource == "repository" && access.action == **action)
        };
        let actions = rights.actions();
        of_all.kind == "project"
            && of_all.namespace == "*"
            && of_all.access.len() == actions.len()
            && actions.iter().all(may)
    }
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    status: String,
}

/// Never.
const ENDS: i64 = -1;
/// The answer of a page; more robots than that are not kubexm's to look through.
const PAGE: &str = "100";

/// Its name without the prefix that Harbor puts before all of them.
fn bare(name: &str) -> &str {
    name.rsplit_once('$').map_or(name, |(_, bare)| bare)
}

/// A robot of the whole of Harbor, with these rights and no others, for ever.
fn robot_of(name: &str, rights: RobotRights) -> Value {
    json!({
        "name": name, "description": "made by kubexm", "level": "system", "duration": ENDS,
        "disable": false, "permissions": rights.permissions(),
    })
}

impl Registry {
    fn api(&self, path: &str) -> Url {
        let mut url = self.url("");
        url.set_path(&format!("/api/v2.0/{path}"));
        url
    }

    async fn call(
        &self,
        method: Method,
        url: Url,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        self.ask(method, url, &Scope::none(), with).await
    }

    async fn read<T: for<'de> Deserialize<'de>>(
        &self,
        answer: Response,
        what: &str,
    ) -> Result<T, RegistryError> {
        let url = answer.url().to_string();
        let body = self.body(answer).await?;
        serde_json::from_slice(&body).map_err(|error| RegistryError::Unusable {
            url,
            why: format!("{what} cannot be read: {error}"),
        })
    }

    /// Whether all parts of it are well.
    pub async fn health(&self) -> Result<HarborHealth, RegistryError> {
        let answer = self.call(Method::GET, self.api("health"), |request| request);
        let answer = answer.await?;
        match answer.status() {
            StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR => {
                let told: Told = self.read(answer, "its health").await?;
                let ailing = told.components.into_iter();
                let ailing = ailing.filter(|component| component.status != "healthy");
                let ailing: Vec<String> = ailing.map(|component| component.name).collect();
                Ok(if ailing.is_empty() {
                    HarborHealth::Well
                } else {
                    HarborHealth::Ailing(ailing)
                })
            }
            _ => Err(self.refused("its health".to_owned(), answer).await),
        }
    }

    pub async fn has_project(&self, project: &str) -> Result<bool, RegistryError> {
        let mut url = self.api("projects");
        url.query_pairs_mut().append_pair("project_name", project);
        let answer = self.call(Method::HEAD, url, |request| request).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refused(format!("the project {project}"), answer).await),
        }
    }

    /// One that is there already is as good.
    pub async fn make_project(&self, project: &str) -> Result<(), RegistryError> {
        let body = json!({"project_name": project, "metadata": {"public": "false"}});
        let answer = self.call(Method::POST, self.api("projects"), |request| {
            request.json(&body)
        });
        let answer = answer.await?;
        match answer.status() {
            StatusCode::CREATED | StatusCode::CONFLICT => Ok(()),
            _ => Err(self.refused(format!("the project {project}"), answer).await),
        }
    }

    /// A robot account of the whole of Harbor, by the name with which it logs in.
    pub async fn robot(&self, name: &str) -> Result<Option<Robot>, RegistryError> {
        let mut url = self.api("robots");
        url.query_pairs_mut()
            .append_pair("q", &format!("name=~{}", bare(name)))
            .append_pair("page_size", PAGE);
        let answer = self.call(Method::GET, url, |request| request).await?;
        match answer.status() {
            StatusCode::OK => {
                let robots: Vec<Robot> = self.read(answer, "its list of robots").await?;
                Ok(robots.into_iter().find(|robot| robot.name == name))
            }
            _ => Err(self.refused("its robot accounts".to_owned(), answer).await),
        }
    }

    /// Its secret is another until one is set.
    pub async fn make_robot(&self, name: &str, rights: RobotRights) -> Result<i64, RegistryError> {
        #[derive(Deserialize)]
        struct Made {
            id: i64,
        }
        let body = robot_of(bare(name), rights);
        let answer = self.call(Method::POST, self.api("robots"), |request| {
            request.json(&body)
        });
        let answer = answer.await?;
        match answer.status() {
            StatusCode::CREATED => {
                let made: Made = self.read(answer, "the robot that was made").await?;
                Ok(made.id)
            }
            _ => Err(self.refused(format!("the robot {name}"), answer).await),
        }
    }

    /// Gives it these rights and no others, for ever.
    pub async fn change_robot(
        &self,
        robot: &Robot,
        rights: RobotRights,
    ) -> Result<(), RegistryError> {
        let mut body = robot_of(&robot.name, rights);
        body["id"] = robot.id.into();
        let url = self.api(&format!("robots/{}", robot.id));
        let answer = self.call(Method::PUT, url, |request| request.json(&body));
        self.done(answer.await?, &robot.name).await
    }

    pub async fn set_secret(
        &self,
        id: i64,
        name: &str,
        secret: &SecretString,
    ) -> Result<(), RegistryError> {
        let body = json!({"secret": secret.expose_secret()});
        let url = self.api(&format!("robots/{id}"));
        let answer = self.call(Method::PATCH, url, |request| request.json(&body));
        self.done(answer.await?, name).await
    }

    async fn done(&self, answer: Response, robot: &str) -> Result<(), RegistryError> {
        match answer.status() {
            StatusCode::OK => Ok(()),
            _ => Err(self.refused(format!("the robot {robot}"), answer).await),
        }
    }
}
