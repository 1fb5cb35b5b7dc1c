mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use common::{converge, operator, told};
use engine::{Slot, Step};
use secrecy::{ExposeSecret, SecretString};
use step::{PrepareRegistryCredentials, RegistryCredentials};
use tempfile::TempDir;

fn dir(temp: &TempDir) -> Utf8PathBuf {
    Utf8Path::from_path(temp.path()).unwrap().join("registry")
}

async fn prepared(
    dir: &Utf8Path,
    given: Option<(&str, &str)>,
) -> Result<(Option<String>, RegistryCredentials), String> {
    let given = given.map(|(username, password)| RegistryCredentials {
        username: username.to_owned(),
        password: SecretString::from(password),
    });
    let slot = Slot::new("registry credentials");
    let step = PrepareRegistryCredentials::new(dir, given, slot.clone());
    let reason = converge(&step)
        .await
        .map_err(|error| told(&error).replace(dir.as_str(), "[certs]"))?;
    Ok((reason, slot.get().unwrap().clone()))
}

#[tokio::test]
async fn a_password_is_made_once_and_kept() {
    let temp = TempDir::new().unwrap();
    let dir = dir(&temp);
    let (why, first) = prepared(&dir, None).await.unwrap();
    assert_eq!(why.unwrap(), "no password has been made yet");
    assert_eq!(first.password.expose_secret().len(), 32);
    let htpasswd = fs::read_to_string(dir.join("htpasswd")).unwrap();
    assert!(htpasswd.starts_with("kubexm:$2"), "{htpasswd}");
    for name in ["htpasswd", "credentials.json"] {
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    let (why, second) = prepared(&dir, None).await.unwrap();
    assert_eq!(why, None);
    assert_eq!(
        first.password.expose_secret(),
        second.password.expose_secret()
    );
    assert_eq!(fs::read_to_string(dir.join("htpasswd")).unwrap(), htpasswd);

    fs::remove_file(dir.join("htpasswd")).unwrap();
    let (why, third) = prepared(&dir, None).await.unwrap();
    assert_eq!(why.unwrap(), "there is no htpasswd yet");
    assert_eq!(
        first.password.expose_secret(),
        third.password.expose_secret()
    );
}

#[tokio::test]
async fn what_the_config_gives_is_taken_and_kept_nowhere() {
    let temp = TempDir::new().unwrap();
    let dir = dir(&temp);
    let (_, taken) = prepared(&dir, Some(("admin", "hunter2"))).await.unwrap();
    assert_eq!(
        (taken.username.as_str(), taken.password.expose_secret()),
        ("admin", "hunter2")
    );
    assert!(!fs::exists(dir.join("credentials.json")).unwrap());
    assert_eq!(
        prepared(&dir, Some(("admin", "hunter2"))).await.unwrap().0,
        None
    );
    let (why, _) = prepared(&dir, Some(("admin", "hunter3"))).await.unwrap();
    assert_eq!(why.unwrap(), "htpasswd is for another user or password");
    assert!(!format!("{taken:?}").contains("hunter2"));
}

#[tokio::test]
async fn credentials_that_cannot_be_used_are_errors() {
    let temp = TempDir::new().unwrap();
    let dir = dir(&temp);
    let why = async |username: &str, password: &str| {
        prepared(&dir, Some((username, password)))
            .await
            .unwrap_err()
    };
    insta::assert_snapshot!(why("a:b", "x").await, @"the registry's user name 'a:b' must not be empty or hold a colon or a line break");
    insta::assert_snapshot!(why("admin", &"x".repeat(73)).await, @"the registry's password is longer than the 72 bytes that bcrypt takes");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("credentials.json"), "{").unwrap();
    insta::assert_snapshot!(prepared(&dir, None).await.unwrap_err(), @r"
    [certs]/credentials.json is damaged
    hint: remove [certs]/credentials.json, and the next run makes a new password
    ");
}

#[tokio::test]
async fn the_slot_is_empty_until_the_registry_could_let_anybody_in() {
    let temp = TempDir::new().unwrap();
    let slot = Slot::new("registry credentials");
    let step = PrepareRegistryCredentials::new(dir(&temp), None, slot.clone());
    step.check(&operator()).await.unwrap();
    assert!(slot.get().is_none());
}
