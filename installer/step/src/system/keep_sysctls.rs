use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::FileAttrs;
use templates::{Sysctls, Template};

use crate::system::apply_sysctls::{Sysctl, Wanted, found};
use crate::{Content, UploadFile};

/// Has a host set kernel parameters at boot. A limit that is higher by itself is left out: whoever raised it may do so
/// again, and the file is the last that is read. One that is in the file already is never written lower than it is now.
/// Stands before [`crate::ApplySysctls`], which makes all of them right.
pub struct KeepSysctls {
    pub path: Utf8PathBuf,
    pub settings: Vec<Sysctl>,
}

impl KeepSysctls {
    /// The file for a host whose kernel has this now.
    fn text(&self, found: &[String], file: Option<&str>) -> Result<String, StepError> {
        let is_kept = |key: &str| {
            let keys = file.into_iter().flat_map(str::lines);
            let mut keys = keys.filter_map(|line| Some(line.split_once('=')?.0.trim()));
            keys.any(|kept| kept == key)
        };
        let value = |(Sysctl { key, wanted }, found): (&Sysctl, &String)| {
            let found = found.parse::<u64>().unwrap_or_default();
            let value = match wanted {
                Wanted::Exactly(value) => *value,
                Wanted::AtLeast(value) if found <= *value => *value,
                Wanted::AtLeast(_) if is_kept(key) => found,
                Wanted::AtLeast(_) => return None,
            };
            Some((key.clone(), value.to_string()))
        };
        let settings = self.settings.iter().zip(found).filter_map(value).collect();
        Sysctls { settings }
            .render()
            .map_err(|error| StepError::new(error.to_string()))
    }

    async fn file(&self, cx: &Cx) -> Result<UploadFile, StepError> {
        let found = found(cx, &self.settings).await?;
        let file = cx.host.read(&self.path).await?;
        let file = file.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(self.upload(self.text(&found, file.as_deref())?))
    }

    fn upload(&self, text: String) -> UploadFile {
        UploadFile {
            path: self.path.clone(),
            content: Content::Text(text),
            attrs: FileAttrs::root(0o644),
        }
    }
}

#[async_trait]
impl Step for KeepSysctls {
    fn id(&self) -> String {
        self.upload(String::new()).id()
    }

    fn describe(&self) -> String {
        self.upload(String::new()).describe()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.settings)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.file(cx).await?.check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.file(cx).await?.apply(cx).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        self.upload(String::new()).counterpart(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_lowers_no_limit() {
        let sysctl = |key: &str, wanted| Sysctl {
            key: key.to_owned(),
            wanted,
        };
        let step = KeepSysctls {
            path: "/etc/sysctl.d/99-zz-kubexm.conf".into(),
            settings: vec![
                sysctl("kernel.panic", Wanted::Exactly(10)),
                sysctl("vm.max_map_count", Wanted::AtLeast(262_144)),
            ],
        };
        let text = |found: [&str; 2], file: Option<&str>| {
            let text = step.text(&found.map(str::to_owned), file).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.collect::<Vec<_>>().join("; ")
        };
        let raised = "kernel.panic = 10; vm.max_map_count = 262144";
        assert_eq!(text(["0", "65530"], None), raised);
        assert_eq!(text(["20", "1048576"], None), "kernel.panic = 10");
        let file = raised.replace("; ", "\n");
        assert_eq!(text(["10", "262144"], Some(&file)), raised);
        assert_eq!(
            text(["10", "1048576"], Some(&file)),
            "kernel.panic = 10; vm.max_map_count = 1048576"
        );
    }
}
