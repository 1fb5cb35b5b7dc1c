//! A Harbor that kubexm sets up, when it runs: a stand-in that speaks its API, in front of the real registry.

mod common;

use std::sync::Arc;

use camino::Utf8Path;
use common::harbor::{ADMIN, Harbor, Takes};
use common::layout::{Layout, two_images};
use common::{converge, operator, told};
use engine::{Slot, State, Step};
use secrecy::SecretString;
use step::{
    AwaitHarbor, Keeper, MakeProjects, MakeRobot, PushImages, RegistryCredentials, RegistryLogin,
    RobotRights, SiteNames, SiteRegistry, Trust,
};
use tempfile::TempDir;

const SECRET: &str = "aLongSecretWithA1";

fn login(username: &str, password: &str) -> RegistryLogin {
    RegistryLogin::Given(Some(RegistryCredentials {
        username: username.to_owned(),
        password: SecretString::from(password),
    }))
}

fn at(harbor: &Harbor) -> SiteRegistry {
    SiteRegistry {
        url: harbor.url(),
        at: Vec::new(),
        trust: Trust::System,
        names: SiteNames {
            authority: "harbor.site:443".into(),
            namespace: None,
        },
        keeper: Keeper::Others,
    }
}

fn robot(harbor: &Harbor, name: &str, rights: RobotRights) -> MakeRobot {
    MakeRobot {
        site: at(harbor),
        admin: login(ADMIN.0, ADMIN.1),
        robot: login(name, SECRET),
        rights,
    }
}

fn pusher(harbor: &Harbor) -> MakeRobot {
    robot(harbor, "robot$kubexm", RobotRights::PullAndPush)
}

fn nodes(harbor: &Harbor) -> MakeRobot {
    robot(harbor, "robot$kubexm-nodes", RobotRights::Pull)
}

fn projects(harbor: &Harbor, password: &str) -> MakeProjects {
    MakeProjects {
        site: at(harbor),
        admin: login(ADMIN.0, password),
        projects: ["docker.io", "registry.k8s.io"].map(str::to_owned).into(),
    }
}

fn push(harbor: &Harbor, as_whom: &str, layout: &Layout) -> PushImages {
    let pushed = Slot::new("pushed");
    PushImages::new(
        at(harbor),
        login(as_whom, SECRET),
        layout.dir(),
        two_images(layout),
        pushed,
    )
}

async fn set_up_and_filled(takes: Takes) -> Harbor {
    let harbor = Harbor::new(takes).await;
    let temp = TempDir::new().unwrap();
    let layout = Layout::new(Utf8Path::from_path(temp.path()).unwrap());
    let reason = converge(&projects(&harbor, ADMIN.1)).await.unwrap();
    assert_eq!(reason.unwrap(), "there is no docker.io, registry.k8s.io");
    assert_eq!(converge(&projects(&harbor, ADMIN.1)).await.unwrap(), None);
    for account in [pusher(&harbor), nodes(&harbor)] {
        assert_eq!(converge(&account).await.unwrap().unwrap(), "is not there");
        assert_eq!(converge(&account).await.unwrap(), None);
    }
    let pushing = push(&harbor, "robot$kubexm", &layout);
    let reason = converge(&pushing).await.unwrap().unwrap();
    assert_eq!(
        reason,
        "the registry lacks registry.k8s.io/pause:3.10 and 1 more"
    );
    assert_eq!(converge(&pushing).await.unwrap(), None);
    // Who pulls sees them, and puts nothing there.
    let reading = push(&harbor, "robot$kubexm-nodes", &layout);
    assert_eq!(reading.check(&operator()).await.unwrap(), State::Satisfied);
    harbor
}

#[tokio::test]
async fn images_come_into_projects_by_the_robot_that_pushes() {
    let harbor = set_up_and_filled(Takes::Logins).await;
    assert_eq!(harbor.told.lock().unwrap().tokens_given, 0);
}

#[tokio::test]
async fn the_same_where_it_gives_tokens_for_logins() {
    let harbor = set_up_and_filled(Takes::Tokens).await;
    assert!(harbor.told.lock().unwrap().tokens_given > 0);
}

#[tokio::test]
async fn the_robot_of_nodes_pushes_nowhere() {
    let harbor = Harbor::new(Takes::Logins).await;
    let temp = TempDir::new().unwrap();
    let layout = Layout::new(Utf8Path::from_path(temp.path()).unwrap());
    converge(&projects(&harbor, ADMIN.1)).await.unwrap();
    converge(&nodes(&harbor)).await.unwrap();
    let error = converge(&push(&harbor, "robot$kubexm-nodes", &layout))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not allow"), "{error}");
}

#[tokio::test]
async fn a_project_that_is_not_there_is_told() {
    let harbor = Harbor::new(Takes::Logins).await;
    let temp = TempDir::new().unwrap();
    let layout = Layout::new(Utf8Path::from_path(temp.path()).unwrap());
    converge(&pusher(&harbor)).await.unwrap();
    let pushing = push(&harbor, "robot$kubexm", &layout);
    let error = converge(&pushing).await.unwrap_err();
    assert!(error.to_string().contains("has no project for"), "{error}");
}

#[tokio::test]
async fn what_somebody_has_changed_of_a_robot_is_mended() {
    let harbor = Harbor::new(Takes::Logins).await;
    converge(&nodes(&harbor)).await.unwrap();
    let changed = |change: fn(&mut serde_json::Value)| {
        let mut told = harbor.told.lock().unwrap();
        change(told.robots.get_mut(&1).unwrap());
    };
    changed(|robot| robot["disable"] = true.into());
    let reason = converge(&nodes(&harbor)).await.unwrap();
    assert_eq!(reason.unwrap(), "is disabled, or ends");
    changed(|robot| {
        robot["permissions"][0]["access"] = serde_json::json!([
            {"resource": "repository", "action": "pull"}, {"resource": "repository", "action": "push"}
        ]);
    });
    let reason = converge(&nodes(&harbor)).await.unwrap();
    assert_eq!(reason.unwrap(), "has other rights");
    harbor
        .told
        .lock()
        .unwrap()
        .secrets
        .insert(1, "another".to_owned());
    let reason = converge(&nodes(&harbor)).await.unwrap();
    assert_eq!(reason.unwrap(), "has another password");
    assert_eq!(converge(&nodes(&harbor)).await.unwrap(), None);
}

#[tokio::test]
async fn another_password_of_the_administrator_is_told() {
    let harbor = Harbor::new(Takes::Logins).await;
    let error = converge(&projects(&harbor, "wrong")).await.unwrap_err();
    let said = told(&error).replace(harbor.url().trim_start_matches("http://"), "[harbor]");
    insta::assert_snapshot!(said, @r"
    Harbor ([harbor]) does not let its administrator in with the password that is known here
    hint: if it was changed in Harbor, give the new one in registry.auths: {username: admin, password: ...}
    ");
}

#[tokio::test]
async fn what_is_not_well_is_named() {
    let harbor = Harbor::new(Takes::Logins).await;
    let step: Arc<dyn Step> = Arc::new(AwaitHarbor {
        site: at(&harbor),
        unit: "kubexm-harbor.service",
    });
    let state = || async { step.check(&operator()).await.unwrap() };
    assert_eq!(state().await, State::Satisfied);
    harbor.told.lock().unwrap().ailing = vec!["database"];
    assert_eq!(state().await, State::needed("not well: database"));
    drop(harbor);
    assert!(matches!(state().await, State::Needed(_)));
}
