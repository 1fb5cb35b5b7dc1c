use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{ask, must};

/// Makes a system user with a group of the same name, without a home and without a login.
pub struct CreateUser {
    pub name: &'static str,
}

#[async_trait]
impl Step for CreateUser {
    fn id(&self) -> String {
        format!("user {}", self.name)
    }

    fn describe(&self) -> String {
        format!("create system user {}", self.name)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let name = self.name;
        let script = format!("id -u {name} && grep -q '^{name}:' /etc/group");
        let output = ask(cx, Command::script(script)).await?;
        Ok(if output.ok() {
            State::Satisfied
        } else {
            State::needed("is not there")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::User(self.name.to_owned())]).await?;
        let name = self.name;
        // `nologin` lies in /usr/sbin or /sbin; a shell that exists in neither refuses logins just as well.
        let script = format!(
            "PATH=$PATH:/usr/sbin:/sbin; grep -q '^{name}:' /etc/group || groupadd --system {name} && \
             {{ id -u {name} >/dev/null 2>&1 || useradd --system --gid {name} --no-create-home \
             --home-dir /nonexistent --shell /usr/sbin/nologin {name}; }}"
        );
        must(
            cx,
            &format!("create the user {name}"),
            Command::script(script),
        )
        .await?;
        Ok(())
    }

    /// Files know their owner by number: as long as data stays, nobody else may get that number.
    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        let user = || vec![Resource::User(self.name.to_owned())];
        let title = || format!("remove system user {}", self.name);
        (data == Data::Purge).then(|| TakeBack::step(title(), user()))
    }
}
