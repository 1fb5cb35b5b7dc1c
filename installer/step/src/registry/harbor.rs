//! Harbor, when it runs: that it is well, the projects that images go to, and the accounts that push and pull.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, SlotId, State, Step, StepError};
use host::Way;

use super::push_images::{connect, explained, way};
use super::{HarborHealth, Registry, RegistryError, RegistryLogin, RobotRights, SiteRegistry};
use crate::RegistryCredentials;

/// A first start makes its database.
const PATIENCE: Duration = Duration::from_mins(10);
const ASK_EVERY: Duration = Duration::from_secs(3);

/// Waits until all parts of Harbor are well.
pub struct AwaitHarbor {
    pub site: SiteRegistry,
    pub unit: &'static str,
}

/// Makes the projects that images go to: Harbor takes nothing into one that is not there. One that is there stays as it is.
pub struct MakeProjects {
    pub site: SiteRegistry,
    pub admin: RegistryLogin,
    pub projects: BTreeSet<String>,
}

/// Makes an account of Harbor that is nobody's, with these rights in all projects and no others, and gives it the password that
/// the operator's machine has for it.
pub struct MakeRobot {
    pub site: SiteRegistry,
    pub admin: RegistryLogin,
    pub robot: RegistryLogin,
    pub rights: RobotRights,
}

async fn health(site: &SiteRegistry, way: &Way) -> Result<HarborHealth, StepError> {
    let registry = connect(site, None, way).await?;
    explained(registry.health().await, way)
}

#[async_trait]
impl Step for AwaitHarbor {
    fn id(&self) -> String {
        "harbor is well".to_owned()
    }

    fn describe(&self) -> String {
        "wait until Harbor is well".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.site)
    }

    /// One that does not answer yet has not begun.
    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = way(&self.site, cx).await?;
        match health(&self.site, &way).await {
            Ok(HarborHealth::Well) => Ok(State::Satisfied),
            Ok(HarborHealth::Ailing(parts)) => {
                Ok(State::needed(format!("not well: {}", parts.join(", "))))
            }
            Err(error) if error.may_pass() => Ok(State::needed(error.to_string())),
            Err(error) => Err(error),
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        match cx
            .wait_until(PATIENCE, ASK_EVERY, || self.check(cx))
            .await?
        {
            State::Satisfied => Ok(()),
            State::Needed(why) => Err(StepError::new(format!(
                "Harbor is not well after {} minutes: {why}",
                PATIENCE.as_secs() / 60
            ))
            .with_hint(format!(
                "on the host: docker ps; systemctl status {}; the logs are in /var/log/harbor",
                self.unit
            ))),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// What is asked of Harbor as its administrator.
async fn as_admin(
    site: &SiteRegistry,
    admin: &RegistryLogin,
    way: &Way,
) -> Result<Registry, StepError> {
    connect(site, admin.found().await?, way).await
}

/// Whoever cannot log in as the administrator has another password than Harbor.
fn of_admin(error: RegistryError) -> StepError {
    match error {
        RegistryError::Login { registry, .. } | RegistryError::Credentials { registry } => {
            let what = format!(
                "Harbor ({registry}) does not let its administrator in with the password that is known here"
            );
            StepError::new(what).with_hint(
                "if it was changed in Harbor, give the new one in registry.auths: {username: admin, password: ...}",
            )
        }
        other => other.into(),
    }
}

impl MakeProjects {
    async fn lacking(&self, registry: &Registry) -> Result<Vec<&str>, StepError> {
        let mut lacking = Vec::new();
        for project in &self.projects {
            if !registry.has_project(project).await.map_err(of_admin)? {
                lacking.push(project.as_str());
            }
        }
        Ok(lacking)
    }
}

#[async_trait]
impl Step for MakeProjects {
    fn id(&self) -> String {
        "projects of harbor".to_owned()
    }

    fn describe(&self) -> String {
        match self.projects.len() {
            1 => "make 1 project in Harbor".to_owned(),
            count => format!("make {count} projects in Harbor"),
        }
    }

    fn inputs(&self) -> String {
        format!("{:?}\n{:?}", self.site, self.projects)
    }

    fn takes(&self) -> Vec<SlotId> {
        self.admin.takes()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = way(&self.site, cx).await?;
        let registry = as_admin(&self.site, &self.admin, &way).await?;
        let lacking = explained(self.lacking(&registry).await, &way)?;
        Ok(if lacking.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("there is no {}", lacking.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let way = way(&self.site, cx).await?;
        let registry = as_admin(&self.site, &self.admin, &way).await?;
        let lacking = explained(self.lacking(&registry).await, &way)?;
        for project in lacking {
            let made = registry.make_project(project).await;
            explained(made.map_err(of_admin), &way)?;
        }
        Ok(())
    }

    /// They go with Harbor's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

impl MakeRobot {
    async fn account(&self) -> Result<RegistryCredentials, StepError> {
        let found = self.robot.found().await?;
        found.ok_or_else(|| StepError::new("the robot account has no name"))
    }
}

#[async_trait]
impl Step for MakeRobot {
    fn id(&self) -> String {
        match self.rights {
            RobotRights::PullAndPush => "robot that pushes".to_owned(),
            RobotRights::Pull => "robot that pulls".to_owned(),
        }
    }

    fn describe(&self) -> String {
        match self.rights {
            RobotRights::PullAndPush => "make the account that pushes to Harbor".to_owned(),
            RobotRights::Pull => "make the account by which nodes pull from Harbor".to_owned(),
        }
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.site)
    }

    fn takes(&self) -> Vec<SlotId> {
        [self.admin.takes(), self.robot.takes()].concat()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = way(&self.site, cx).await?;
        let registry = as_admin(&self.site, &self.admin, &way).await?;
        let account = self.account().await?;
        let robot = registry.robot(&account.username).await.map_err(of_admin);
        let Some(robot) = explained(robot, &way)? else {
            return Ok(State::needed("is not there"));
        };
        if !robot.lasts() {
            return Ok(State::needed("is disabled, or ends"));
        }
        if !robot.has(self.rights) {
            return Ok(State::needed("has other rights"));
        }
        let registry = connect(&self.site, Some(account), &way).await?;
        match registry.log_in().await {
            Ok(_) => Ok(State::Satisfied),
            Err(RegistryError::Login { .. } | RegistryError::Credentials { .. }) => {
                Ok(State::needed("has another password"))
            }
            Err(error) => explained(Err(error), &way),
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let way = way(&self.site, cx).await?;
        let registry = as_admin(&self.site, &self.admin, &way).await?;
        let account = self.account().await?;
        let name = &account.username;
        let found = explained(registry.robot(name).await.map_err(of_admin), &way)?;
        let id = match found {
            None => explained(registry.make_robot(name, self.rights).await, &way)?,
            Some(robot) => {
                if !(robot.lasts() && robot.has(self.rights)) {
                    explained(registry.change_robot(&robot, self.rights).await, &way)?;
                }
                robot.id
            }
        };
        let set = registry.set_secret(id, name, &account.password).await;
        explained(set, &way)
    }

    /// It goes with Harbor's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
