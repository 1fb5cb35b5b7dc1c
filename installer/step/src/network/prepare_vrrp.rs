use std::num::NonZeroU8;
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use rand::RngExt as _;
use rand::distr::{Alphanumeric, SampleString};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::RemoveLocal;
use crate::local_file::{self, blocking};

/// By what the hosts that share virtual addresses know each other.
#[derive(Clone, Debug)]
pub struct Vrrp {
    /// Two groups with the same id on one network would fight.
    pub router_id: NonZeroU8,
    pub password: SecretString,
}

/// Makes the id and password of VRRP once, at random, and keeps them on the operator's machine.
#[derive(Clone, Debug)]
pub struct PrepareVrrp {
    pub file: Utf8PathBuf,
    pub vrrp: Slot<Vrrp>,
}

/// VRRP reads no more than 8 bytes.
const PASSWORD_LENGTH: usize = 8;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Keep<'a> {
    router_id: NonZeroU8,
    password: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    router_id: NonZeroU8,
    password: SecretString,
}

/// What the file holds.
pub(crate) fn kept(router_id: NonZeroU8, password: &str) -> Zeroizing<Vec<u8>> {
    let keep = Keep {
        router_id,
        password,
    };
    serde_json::to_vec(&keep)
        .map(Zeroizing::new)
        .expect("a number and a string are JSON")
}

impl PrepareVrrp {
    fn known(&self) -> Result<Option<Vrrp>, StepError> {
        let Some(bytes) = local_file::read(&self.file)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let damaged = |_| {
            StepError::new(format!("{} is damaged", self.file)).with_hint(format!(
                "remove {}, and the next run makes it anew",
                self.file
            ))
        };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(damaged)?;
        Ok(Some(Vrrp {
            router_id: kept.router_id,
            password: kept.password,
        }))
    }

    fn state(&self) -> Result<State, StepError> {
        let Some(vrrp) = self.known()? else {
            return Ok(State::needed("there is none yet"));
        };
        if local_file::is_open_to_others(&self.file)? {
            return Ok(State::needed("others can read the password"));
        }
        self.vrrp.fill(vrrp);
        Ok(State::Satisfied)
    }

    fn bring_about(&self) -> Result<(), StepError> {
        if self.known()?.is_some() {
            return Ok(local_file::close_to_others(&self.file)?);
        }
        let mut random = rand::rng();
        let password = Zeroizing::new(Alphanumeric.sample_string(&mut random, PASSWORD_LENGTH));
        let json = kept(random.random(), &password);
        Ok(local_file::write(&self.file, 0o600, &json)?)
    }
}

impl Vrrp {
    /// As keepalived's configuration has it, which only root reads.
    #[must_use]
    pub fn password(&self) -> &str {
        self.password.expose_secret()
    }
}

#[async_trait]
impl Step for PrepareVrrp {
    fn id(&self) -> String {
        "vrrp".to_owned()
    }

    fn describe(&self) -> String {
        "prepare the id and password that the load balancers share".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.vrrp.id()]
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let this = self.clone();
        blocking(move || this.state()).await
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let this = self.clone();
        blocking(move || this.bring_about()).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        let title = "remove the load balancers' VRRP identity";
        (data == Data::Purge).then(|| RemoveLocal::step(title, [self.file.clone()]))
    }
}
