use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;
use std::sync::Arc;

use crate::shell::ask;

/// How an nginx comes by its stream module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NginxStream {
    BuiltIn,
    Module(Utf8PathBuf),
}

/// Finds out whether the distribution built nginx with the stream module in it, or beside it.
pub struct FindNginxStream {
    pub stream: Slot<NginxStream>,
}

/// `configure arguments` name the folder; without a name it is where nginx itself was configured to be.
const LOOK: &str = r#"told=$(nginx -V 2>&1 | tr ' ' '\n')
if printf '%s\n' "$told" | grep -qx -e --with-stream; then echo built in; exit; fi
modules=$(printf '%s\n' "$told" | sed -n 's/^--modules-path=//p')
prefix=$(printf '%s\n' "$told" | sed -n 's/^--prefix=//p')
file=${modules:-$prefix/modules}/ngx_stream_module.so
[ ! -f "$file" ] || echo "$file""#;

#[async_trait]
impl Step for FindNginxStream {
    fn id(&self) -> String {
        "nginx stream".to_owned()
    }

    fn describe(&self) -> String {
        "find nginx's stream module".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.stream.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let found = ask(cx, Command::script(LOOK)).await?.text();
        self.stream.fill(match found.as_str() {
            "" => {
                return Err(StepError::new("its nginx has no stream module").with_hint(
                    "install libnginx-mod-stream (on RHEL and its kin: nginx-mod-stream)",
                ));
            }
            "built in" => NginxStream::BuiltIn,
            path => NginxStream::Module(path.into()),
        });
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
