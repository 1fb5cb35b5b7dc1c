use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Former};
use crate::shell::{ask, must};

/// Turns swap off, now and at boot: lines of `/etc/fstab` are commented out, not removed.
pub struct DisableSwap;

const FSTAB_SWAP: &str =
    r"^[[:space:]]*[^#[:space:]][^[:space:]]*[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]]";

#[async_trait]
impl Step for DisableSwap {
    fn id(&self) -> String {
        "swap".to_owned()
    }

    fn describe(&self) -> String {
        "turn swap off".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let script = format!(
            "[ \"$(wc -l < /proc/swaps)\" -le 1 ] || echo 'swap is on'; \
             if [ -f /etc/fstab ] && grep -Eq '{FSTAB_SWAP}' /etc/fstab; then echo '/etc/fstab turns it on at boot'; fi"
        );
        let found = ask(cx, Command::script(script)).await?.text();
        Ok(match found.lines().next() {
            None => State::Satisfied,
            Some(reason) => State::needed(reason),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Former::Swap]).await?;
        let script = format!(
            "PATH=$PATH:/usr/sbin:/sbin; swapoff -a && \
             if [ -f /etc/fstab ]; then sed -Ei 's/({FSTAB_SWAP})/# kubexm: \\1/' /etc/fstab; fi"
        );
        must(cx, "turn swap off", Command::script(script)).await?;
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::step("turn swap on again", vec![Former::Swap]))
    }
}
