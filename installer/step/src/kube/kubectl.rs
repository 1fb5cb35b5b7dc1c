use std::io::Read;

use bytes::Bytes;
use engine::{Cx, StepError};
use flate2::read::GzDecoder;
use host::{Command, Output};
use serde::de::DeserializeOwned;

use crate::shell::{ask, refused};

/// Otherwise kubectl leaves what it knows of the API in the home of root.
pub(crate) const CACHE: &str = "--cache-dir=/var/lib/kubexm/kubectl";

/// kubectl on a master, as the administrator.
const KUBECTL: [&str; 4] = [
    "/usr/local/bin/kubectl",
    CACHE,
    "--kubeconfig",
    "/etc/kubernetes/admin.conf",
];

/// The same for scripts.
pub(crate) fn line() -> String {
    KUBECTL.join(" ")
}

pub(crate) fn kubectl(arguments: &[&str]) -> Command {
    Command::new(KUBECTL.iter().chain(arguments).copied())
}

/// What the cluster answers, whatever its status.
pub(crate) async fn ask_kubectl(cx: &Cx, arguments: &[&str]) -> Result<Output, StepError> {
    Ok(without_noise(ask(cx, kubectl(arguments)).await?))
}

/// What kubectl's own library says of each part of the API that it cannot ask, time and again, whatever it was asked.
const NOISE: [&str; 2] = [
    "] \"Unhandled Error\" err=\"couldn't get ",
    "couldn't get resource list for",
];

fn without_noise(mut output: Output) -> Output {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines();
    let kept = lines.filter(|line| !NOISE.iter().any(|noise| line.contains(noise)));
    let kept: Vec<&str> = kept.collect();
    if !kept.is_empty() {
        output.stderr = kept.join("\n").into_bytes();
    }
    output
}

pub(crate) async fn ask_kubectl_with(
    cx: &Cx,
    arguments: &[&str],
    stdin: Bytes,
) -> Result<Output, StepError> {
    Ok(without_noise(
        ask(cx, kubectl(arguments).stdin(stdin)).await?,
    ))
}

pub(crate) async fn must_kubectl_with(
    cx: &Cx,
    trying: &str,
    arguments: &[&str],
    stdin: Bytes,
) -> Result<Output, StepError> {
    let output = ask_kubectl_with(cx, arguments, stdin).await?;
    if output.ok() {
        Ok(output)
    } else {
        Err(refused(trying, &output))
    }
}

/// The shell's function `packed COMMAND...`: it packs what the command prints, and ends as the command does.
const PACKED: &str = include_str!("packed.sh");
/// Ten thousands of pods. More is no answer.
const UNPACKED_LIMIT: u64 = 512 << 20;

/// Objects of the cluster as JSON, whatever the status.
pub(crate) async fn ask_json(cx: &Cx, what: &[&str]) -> Result<Output, StepError> {
    unpacked(without_noise(ask(cx, get(what)).await?))
}

/// Objects of the cluster.
pub(crate) async fn get_json<T: DeserializeOwned>(cx: &Cx, what: &[&str]) -> Result<T, StepError> {
    let trying = format!("get {}", what.join(" "));
    let output = ask_json(cx, what).await?;
    if !output.ok() {
        return Err(refused(&trying, &output));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| StepError::new(format!("cannot read the answer to {trying}: {error}")))
}

/// Whole objects of a large cluster are longer than what a host may answer; packed they are a tenth.
fn get(what: &[&str]) -> Command {
    let get = kubectl(&[&["get", "--output", "json"], what].concat());
    packed(get.text())
}

fn packed(line: &str) -> Command {
    Command::script(format!("{PACKED}packed {line}"))
}

/// What a packed command has printed. Where there is no gzip, it comes as it is.
fn unpacked(output: Output) -> Result<Output, StepError> {
    const MAGIC: [u8; 2] = [0x1f, 0x8b];
    if !output.stdout.starts_with(&MAGIC) {
        return Ok(output);
    }
    let mut stdout = Vec::new();
    let mut decoder = GzDecoder::new(&output.stdout[..]).take(UNPACKED_LIMIT + 1);
    decoder
        .read_to_end(&mut stdout)
        .map_err(|error| StepError::new(format!("cannot unpack kubectl's answer: {error}")))?;
    if stdout.len() as u64 > UNPACKED_LIMIT {
        let limit = UNPACKED_LIMIT >> 20;
        return Err(StepError::new(format!(
            "kubectl's answer is longer than {limit} MiB"
        )));
    }
    Ok(Output { stdout, ..output })
}

#[cfg(test)]
mod tests {
    use host::local::LocalHost;
    use host::{Host, Redactor};

    use super::*;

    #[test]
    fn what_kubectl_says_of_the_rest_of_the_api_is_left_out() {
        let output = Output {
            status: 1,
            stdout: Vec::new(),
            stderr: b"E1130 09:30:00.1 99 memcache.go:287] \"Unhandled Error\" err=\"couldn't get resource list for metrics.k8s.io/v1beta1: \
                      the server is currently unable to handle the request\"\nError from server (NotFound): x not found\n"
                .to_vec(),
        };
        let words = without_noise(output).last_words();
        assert_eq!(words, "Error from server (NotFound): x not found");
    }

    async fn answer(line: &str) -> Output {
        let host = LocalHost::new("here", Redactor::default());
        unpacked(host.run(&packed(line)).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_longer_than_a_host_may_give_arrives_whole_with_its_status() {
        let long = answer("sh -c 'yes pod | head -c 40000000; echo oops >&2; exit 3'").await;
        assert_eq!((long.status, long.stdout.len()), (3, 40_000_000));
        assert_eq!(long.last_words(), "oops");
        let short = answer("printf '%s' 'a  b'").await;
        assert_eq!((short.status, short.stdout), (0, b"a  b".to_vec()));
    }

    #[tokio::test]
    async fn a_host_without_gzip_answers_as_it_can() {
        let plain = Command::script(format!("PATH=/nowhere\n{}", packed("echo plain").text()));
        let host = LocalHost::new("here", Redactor::default());
        let output = unpacked(host.run(&plain).await.unwrap()).unwrap();
        assert_eq!((output.status, output.text().as_str()), (0, "plain"));
    }
}
