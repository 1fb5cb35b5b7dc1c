use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{REPLACE, ask, must};

/// Turns swap off, now and at boot: lines of `/etc/fstab` are commented out, not removed, and what else would swap at boot is
/// masked: what systemd itself finds (zram, a partition by its type), and services that turn swap on by a script.
pub struct DisableSwap;

const FSTAB_SWAP: &str =
    r"^[[:space:]]*[^#[:space:]][^[:space:]]*[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]]";
/// Services that turn swap on and have no unit of that type: of zram-tools, zram-config, dphys-swapfile and swapspace.
const SERVICES: &str =
    "zramswap.service zram-config.service dphys-swapfile.service swapspace.service";

/// Prints the units that are not masked and turn swap on, those of `/etc/fstab` among them as long as it has its lines.
fn units() -> String {
    format!(
        "{{ systemctl list-unit-files --type=swap --no-legend --plain; \
         systemctl list-unit-files --no-legend --plain {SERVICES} | grep -E '^[^[:space:]]+[[:space:]]+(enabled|enabled-runtime|generated)'; }} \
         2>/dev/null | while read -r unit state _; do case $state in masked*) ;; *) echo \"$unit\" ;; esac; done"
    )
}

/// Prints what turns swap on, now and at boot, by this table.
fn found(fstab: &str) -> String {
    format!(
        "[ \"$(wc -l < /proc/swaps)\" -le 1 ] || echo 'swap is on'; \
         if [ -f {fstab} ] && grep -Eq '{FSTAB_SWAP}' {fstab}; then echo '{fstab} turns it on at boot'; fi; \
         {} | sed 's/$/ turns it on at boot/'",
        units()
    )
}

/// Turns it off, for now and in this table.
fn off(fstab: &str) -> String {
    format!(
        "{REPLACE}PATH=$PATH:/usr/sbin:/sbin; swapoff -a && \
         if [ -f {fstab} ] && grep -Eq '{FSTAB_SWAP}' {fstab}; then \
         replace {fstab} sed -E 's/({FSTAB_SWAP})/# kubexm: \\1/' {fstab} && systemctl daemon-reload; fi"
    )
}

const FSTAB: &str = "/etc/fstab";

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
        let found = ask(cx, Command::script(found(FSTAB))).await?.text();
        Ok(match found.lines().next() {
            None => State::Satisfied,
            Some(reason) => State::needed(reason),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::Swap]).await?;
        must(cx, "turn swap off", Command::script(off(FSTAB))).await?;
        let left = ask(cx, Command::script(units())).await?.text();
        let units: Vec<&str> = left.lines().collect();
        if units.is_empty() {
            return Ok(());
        }
        let masks: Vec<Resource> = units
            .iter()
            .map(|unit| Resource::File(format!("/etc/systemd/system/{unit}").into()))
            .collect();
        before::note(cx, &masks).await?;
        let mask = ["systemctl", "mask", "--now", "--"]
            .into_iter()
            .chain(units);
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

    /// A machine with these files of units and this table; `systemctl` knows what lies there, and makes what it is told to.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(fstab: &str, units: &[(&str, &str)]) -> Self {
            use std::os::unix::fs::PermissionsExt;

            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("fstab"), fstab).unwrap();
            std::fs::create_dir_all(dir.path().join("units")).unwrap();
            for (name, state) in units {
                std::fs::write(dir.path().join("units").join(name), state).unwrap();
            }
            let systemctl = r#"#!/bin/sh
cd "${0%/*}/units"
case "$*" in
*--type=swap*) for unit in *.swap; do [ ! -e "$unit" ] || echo "$unit $(cat "$unit") -"; done ;;
*list-unit-files*) for unit; do case $unit in *.service) [ ! -e "$unit" ] || echo "$unit $(cat "$unit") enabled" ;; esac; done ;;
mask*) shift 3; for unit; do echo masked > "$unit"; done ;;
esac"#;
            for (name, text) in [("systemctl", systemctl), ("swapoff", "#!/bin/sh\nexit 0")] {
                let path = dir.path().join(name);
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            Self(dir)
        }

        fn fstab(&self) -> String {
            self.0.path().join("fstab").to_str().unwrap().to_owned()
        }

        /// This machine may swap itself.
        fn said(&self, script: &str) -> Vec<String> {
            let path = format!("{}:/usr/bin:/bin", self.0.path().display());
            let output = std::process::Command::new("sh")
                .args(["-c", &script.replace("/proc/swaps", "/dev/null")])
                .env("PATH", path)
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().map(str::to_owned).collect()
        }

        fn found(&self) -> Vec<String> {
            let lines = self.said(&found(&self.fstab())).into_iter();
            lines
                .map(|line| line.replace(&self.fstab(), FSTAB))
                .collect()
        }
    }

    #[test]
    fn what_would_bring_swap_back_at_boot_is_found_and_kept_off() {
        let table =
            "UUID=1 / ext4 defaults 0 1\n/swap.img none swap sw 0 0\n# /old none swap sw 0 0\n";
        let machine = Machine::new(
            table,
            &[
                ("dev-zram0.swap", "generated"),
                ("dev-sda3.swap", "generated"),
                ("swapfile.swap", "enabled"),
                ("zramswap.service", "enabled"),
                ("swapspace.service", "disabled"),
                ("ssh.service", "enabled"),
            ],
        );
        let at_boot = |what: &str| format!("{what} turns it on at boot");
        let all = [
            FSTAB,
            "dev-sda3.swap",
            "dev-zram0.swap",
            "swapfile.swap",
            "zramswap.service",
        ];
        assert_eq!(machine.found(), all.map(at_boot));
        machine.said(&off(&machine.fstab()));
        assert_eq!(
            machine.found(),
            all[1..].iter().map(|it| at_boot(it)).collect::<Vec<_>>()
        );
        let left = machine.said(&units()).join(" ");
        machine.said(&format!("systemctl mask --now -- {left}"));
        assert_eq!(machine.found(), [""; 0]);
        let written = std::fs::read_to_string(machine.fstab()).unwrap();
        assert!(
            written.contains("\n# kubexm: /swap.img none swap sw 0 0\n# /old"),
            "{written}"
        );
        let bare = Machine::new("UUID=1 / ext4 defaults 0 1\n", &[]);
        assert_eq!(bare.found(), [""; 0]);
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
