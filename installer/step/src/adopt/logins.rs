use std::num::NonZeroU8;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use secrecy::zeroize::Zeroizing;

use crate::local_file::{self, blocking};
use crate::network::prepare_vrrp;
use crate::registry::credentials;

/// Fetches the registry's login from a node, where the operator's machine has none.
pub struct FetchRegistryLogin {
    /// The node's own file with the login.
    pub hosts: Utf8PathBuf,
    /// Where the operator's machine keeps it.
    pub local: Utf8PathBuf,
}

/// Fetches by what load balancers know each other from one of them.
pub struct FetchVrrp {
    pub config: Utf8PathBuf,
    pub local: Utf8PathBuf,
}

/// Fetches the passwords of Harbor's administrator and database from its own host.
pub struct FetchHarborPasswords {
    pub config: Utf8PathBuf,
    /// Where the operator's machine keeps them.
    pub admin: Utf8PathBuf,
    pub database: Utf8PathBuf,
}

/// `harbor_admin_password: "secret"`
fn harbor_admin(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    harbor_password(text, "harbor_admin_password:", "admin")
}

/// `  password: "secret"`, below `database`
fn harbor_database(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    harbor_password(text, "  password:", "postgres")
}

fn harbor_password(text: &str, key: &str, username: &str) -> Option<Zeroizing<Vec<u8>>> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    let password: String = serde_json::from_str(value.trim()).ok()?;
    let password = Zeroizing::new(password);
    Some(credentials::kept(username, &password))
}

/// `Authorization = "Basic ..."`, or `"auth": "..."`
fn login(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut lines = text.lines().map(str::trim);
    let value = if let Some(value) = lines.find_map(|line| line.strip_prefix("Authorization")) {
        let value = value.trim_start_matches([' ', '=']);
        value.trim_matches(['"', '\'']).strip_prefix("Basic ")?
    } else {
        let (_, value) = text.split_once("\"auth\":")?;
        value.split('"').nth(1)?
    };
    let pair = BASE64_STANDARD.decode(value).ok()?;
    let pair = Zeroizing::new(String::from_utf8(pair).ok()?);
    let (username, password) = pair.split_once(':')?;
    Some(credentials::kept(username, password))
}

/// `virtual_router_id 42`, `auth_pass secret`; a group of IPv6 has no password.
fn vrrp(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let value = |key: &str| {
        let mut lines = text.lines().map(str::trim);
        let rest = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
        Some(rest.trim())
    };
    let id: NonZeroU8 = value("virtual_router_id")?.parse().ok()?;
    Some(prepare_vrrp::kept(
        id,
        value("auth_pass").unwrap_or_default(),
    ))
}

/// What of a host's file is to be kept here.
async fn found(
    cx: &Cx,
    path: &Utf8PathBuf,
    local: &Utf8PathBuf,
    understood: fn(&str) -> Option<Zeroizing<Vec<u8>>>,
) -> Result<Option<Zeroizing<Vec<u8>>>, StepError> {
    if local_file::read(local)?.map(Zeroizing::new).is_some() {
        return Ok(None);
    }
    let text = cx.host.read(path).await?.map(Zeroizing::new);
    Ok(text.and_then(|text| understood(&String::from_utf8_lossy(&text))))
}

async fn keep(
    cx: &Cx,
    local: &Utf8PathBuf,
    found: Option<Zeroizing<Vec<u8>>>,
) -> Result<(), StepError> {
    let (local, host) = (local.clone(), cx.host.name().to_owned());
    let Some(bytes) = found else { return Ok(()) };
    blocking(move || local_file::write_new(&local, &host, &bytes)).await
}

fn state(local: &Utf8PathBuf, found: Option<&Zeroizing<Vec<u8>>>) -> State {
    match found {
        None => State::Satisfied,
        Some(_) => State::needed(format!("{local} is not here")),
    }
}

#[async_trait]
impl Step for FetchRegistryLogin {
    fn id(&self) -> String {
        "fetch the registry's login".to_owned()
    }

    fn describe(&self) -> String {
        self.id()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let found = found(cx, &self.hosts, &self.local, login).await?;
        Ok(state(&self.local, found.as_ref()))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let found = found(cx, &self.hosts, &self.local, login).await?;
        keep(cx, &self.local, found).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for FetchVrrp {
    fn id(&self) -> String {
        "fetch the id and password of VRRP".to_owned()
    }

    fn describe(&self) -> String {
        self.id()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let found = found(cx, &self.config, &self.local, vrrp).await?;
        Ok(state(&self.local, found.as_ref()))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let found = found(cx, &self.config, &self.local, vrrp).await?;
        keep(cx, &self.local, found).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for FetchHarborPasswords {
    fn id(&self) -> String {
        "fetch Harbor's passwords".to_owned()
    }

    fn describe(&self) -> String {
        self.id()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let admin = found(cx, &self.config, &self.admin, harbor_admin).await?;
        if admin.is_some() {
            return Ok(state(&self.admin, admin.as_ref()));
        }
        let database = found(cx, &self.config, &self.database, harbor_database).await?;
        Ok(state(&self.database, database.as_ref()))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let admin = found(cx, &self.config, &self.admin, harbor_admin).await?;
        keep(cx, &self.admin, admin).await?;
        let database = found(cx, &self.config, &self.database, harbor_database).await?;
        keep(cx, &self.database, database).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use camino::Utf8Path;
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn logins_come_back_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let toml = "server = \"https://r:5000/v2\"\n\n[header]\n  Authorization = \"Basic a3ViZXhtOmEgcGFzczp3b3Jk\"\n";
        let keepalived = "vrrp_instance apiserver {\n    virtual_router_id 42\n    authentication {\n        \
                          auth_type PASS\n        auth_pass s3cret\n    }\n}\n";
        let host = FakeHost::new("node1")
            .with_file("/hosts.toml", toml, 0o600)
            .with_file("/keepalived.conf", keepalived, 0o600);
        let harbor =
            "hostname: r\nharbor_admin_password: \"s \\\"x\"\ndatabase:\n  password: \"db\"\n";
        let host = host.with_file("/harbor.yml", harbor, 0o600);
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        let harbor = FetchHarborPasswords {
            config: "/harbor.yml".into(),
            admin: dir.join("admin.json"),
            database: dir.join("database.json"),
        };
        let login = FetchRegistryLogin {
            hosts: "/hosts.toml".into(),
            local: dir.join("credentials.json"),
        };
        let vrrp = FetchVrrp {
            config: "/keepalived.conf".into(),
            local: dir.join("loadbalancer/vrrp.json"),
        };
        let steps: [&dyn Step; 3] = [&login, &vrrp, &harbor];
        for step in steps {
            assert!(matches!(step.check(&cx).await.unwrap(), State::Needed(_)));
            step.apply(&cx).await.unwrap();
            assert_eq!(step.check(&cx).await.unwrap(), State::Satisfied);
        }
        let text = |path: &Utf8Path| std::fs::read_to_string(path).unwrap();
        insta::assert_snapshot!(text(&login.local), @r#"{"username":"kubexm","password":"a pass:word"}"#);
        insta::assert_snapshot!(text(&vrrp.local), @r#"{"routerId":42,"password":"s3cret"}"#);
        insta::assert_snapshot!(text(&harbor.admin), @r#"{"username":"admin","password":"s \"x"}"#);
        insta::assert_snapshot!(text(&harbor.database), @r#"{"username":"postgres","password":"db"}"#);
        for path in [&login.local, &vrrp.local, &harbor.admin] {
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(
            std::fs::read_dir(dir).unwrap().count(),
            4,
            "nothing else is left"
        );
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        assert!(login("Authorization = \"Bearer x\"\n").is_none());
        assert!(vrrp("virtual_router_id none\n").is_none());
    }
}
