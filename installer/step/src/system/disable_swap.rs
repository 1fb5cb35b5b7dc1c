use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{REPLACE, ask, must};

/// Turns swap off, now and at boot: lines of `/etc/fstab` are commented out, not removed, and what else systemd would
/// swap to at boot (zram, a partition that it finds by its type) is masked.
pub struct DisableSwap;

const FSTAB_SWAP: &str =
    r"^[[:space:]]*[^#[:space:]][^[:space:]]*[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]]";
/// Prints the swap units that are not masked, those of `/etc/fstab` among them as long as it has its lines.
const UNITS: &str = "systemctl list-unit-files --type=swap --no-legend --plain 2>/dev/null | \
     while read -r unit state _; do case $state in masked*) ;; *) echo \"$unit\" ;; esac; done";

#[async_trait]
impl Step for DisableSwap {
    fn id(&self) -> String {
        "swap".to_owned()
    }

    fn describe(&self) -> String {
        "turn swap off".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let script = format!(
            "[ \"$(wc -l < /proc/swaps)\" -le 1 ] || echo 'swap is on'; \
             if [ -f /etc/fstab ] && grep -Eq '{FSTAB_SWAP}' /etc/fstab; then echo '/etc/fstab turns it on at boot'; fi; \
             {UNITS} | sed 's/$/ turns it on at boot/'"
        );
        let found = ask(cx, Command::script(script)).await?.text();
        Ok(match found.lines().next() {
            None => State::Satisfied,
            Some(reason) => State::needed(reason),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::Swap]).await?;
        let script = format!(
            "{REPLACE}PATH=$PATH:/usr/sbin:/sbin; swapoff -a && \
             if [ -f /etc/fstab ] && grep -Eq '{FSTAB_SWAP}' /etc/fstab; then \
             replace /etc/fstab sed -E 's/({FSTAB_SWAP})/# kubexm: \\1/' /etc/fstab && systemctl daemon-reload; fi"
        );
        must(cx, "turn swap off", Command::script(script)).await?;
        let left = ask(cx, Command::script(UNITS)).await?.text();
        let units: Vec<&str> = left.lines().collect();
        if units.is_empty() {
            return Ok(());
        }
        let masks: Vec<Resource> = units
            .iter()
            .map(|unit| Resource::File(format!("/etc/systemd/system/{unit}").into()))
            .collect();
        before::note(cx, &masks).await?;
        let mask = ["systemctl", "mask", "--"].into_iter().chain(units);
        must(cx, "keep swap off at boot", Command::new(mask)).await?;
        Ok(())
    }

    /// The masks go when everything that is noted does, as the host is left.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::step("turn swap on again", vec![Resource::Swap]))
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    const LISTS: &str = "list-unit-files";

    fn cx(host: &Arc<FakeHost>) -> Cx {
        Cx::new(host.clone(), Progress::unseen())
    }

    #[tokio::test]
    async fn a_host_without_swap_is_left_alone() {
        let host = Arc::new(FakeHost::new("node1").on(LISTS, 0, ""));
        assert_eq!(
            DisableSwap.check(&cx(&host)).await.unwrap(),
            State::Satisfied
        );
    }

    #[tokio::test]
    async fn what_systemd_would_swap_to_at_boot_is_masked() {
        let unit = r"dev-disk-by\x2dpartuuid-1234.swap";
        let found = format!("{unit} turns it on at boot\n");
        let host = Arc::new(FakeHost::new("node1").on("proc/swaps", 0, found.as_str()));
        assert_eq!(
            DisableSwap.check(&cx(&host)).await.unwrap(),
            State::needed(found.trim_end())
        );

        let host = Arc::new(FakeHost::new("node1").on(LISTS, 0, format!("{unit}\n")));
        DisableSwap.apply(&cx(&host)).await.unwrap();
        let done = host.transcript();
        let noted = done.find("note file").unwrap();
        let masked = done.find("systemctl mask").unwrap();
        assert!(noted < masked, "{done}");
        assert!(done[masked..].contains(&host::quote(unit)), "{done}");
    }
}
