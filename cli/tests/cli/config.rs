use std::fs;
use std::path::Path;

use super::{kubexm, one_line, told, transcript};

const CONFIG: &str = "\
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: small}
spec:
  hosts:
    - {name: node1, address: 192.0.2.1, password: hunter2}
  roleGroups: {etcd: [node1], master: [node1], worker: [node1]}
";

fn with(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.yaml"), text).unwrap();
    dir
}

fn validated(text: &str) -> String {
    told(
        with(text).path(),
        &["config", "validate", "-f", "config.yaml"],
    )
}

#[test]
fn a_good_config_is_called_valid() {
    insta::assert_snapshot!(validated(CONFIG));
}

#[test]
fn keys_that_do_nothing_yet_are_one_warning() {
    let text = format!("{CONFIG}  kubernetes: {{type: kubexm, autoRenewCerts: true}}\n");
    insta::assert_snapshot!(validated(&text));
}

/// Only what is for the other half of the networks is left.
#[test]
fn of_addons_and_storage_nothing_is_left_that_does_nothing() {
    let text = format!(
        "{CONFIG}  addons: [metallb, longhorn]\n  storage: {{openebs: {{basePath: /var/openebs}}}}\n"
    );
    let told = validated(&text);
    assert!(!told.contains("nothing yet"), "{told}");
}

#[test]
fn a_mistyped_key_is_named_at_its_place() {
    let text = CONFIG.replace("roleGroups", "roleGroup");
    insta::assert_snapshot!(validated(&text));
}

#[test]
fn text_that_is_no_yaml_is_refused_at_its_place() {
    insta::assert_snapshot!(validated("metadata: {name: [small}\n"));
}

#[test]
fn a_file_that_is_not_there_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(told(
        dir.path(),
        &["config", "validate", "-f", "nowhere.yaml"]
    ));
}

#[test]
fn a_file_that_is_no_text_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("config.yaml"),
        b"kind: Cluster\nmetadata: {name: caf\xe9}\n",
    )
    .unwrap();
    insta::assert_snapshot!(told(
        dir.path(),
        &["config", "validate", "-f", "config.yaml"]
    ));
}

#[test]
fn a_config_may_come_from_stdin() {
    let mut command = kubexm(Path::new("."), &["config", "validate", "-f", "-"]);
    insta::assert_snapshot!(transcript(command.write_stdin(CONFIG)));
}

#[test]
fn mistakes_are_data_as_well() {
    let dir = with(&CONFIG.replace("roleGroups", "roleGroup"));
    let args = [
        "config",
        "validate",
        "-f",
        "config.yaml",
        "--output",
        "json",
    ];
    let output = kubexm(dir.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    insta::assert_json_snapshot!(error);
}

#[test]
fn show_fills_in_defaults_and_leaves_secrets_out() {
    let dir = with(CONFIG);
    let text = told(dir.path(), &["config", "show", "-f", "config.yaml"]);
    assert!(
        text.contains("kubernetes:") && text.contains("192.0.2.1"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
    let json = kubexm(
        dir.path(),
        &["config", "show", "-f", "config.yaml", "--output", "json"],
    );
    let output = { json }.output().unwrap();
    let json = one_line(&output);
    assert!(!json.contains("hunter2"));
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["metadata"]["name"], "small");
    let proxy = &json["spec"]["kubernetes"]["proxyMode"];
    assert_eq!(proxy, "ipvs", "it goes by the version");
    assert!(text.contains("proxyMode: ipvs"), "{text}");
}

#[test]
fn the_schema_is_a_json_schema() {
    let output = kubexm(Path::new("."), &["config", "schema"])
        .output()
        .unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        schema["$schema"]
            .as_str()
            .unwrap()
            .contains("json-schema.org")
    );
    assert!(schema["properties"]["spec"].is_object());
    let args = ["config", "schema", "--output", "json"];
    let output = kubexm(Path::new("."), &args).output().unwrap();
    let line: serde_json::Value = serde_json::from_str(one_line(&output)).unwrap();
    assert_eq!(line, schema);
}

#[test]
fn init_gives_a_config_that_is_valid_and_never_overwrites_one() {
    let dir = tempfile::tempdir().unwrap();
    kubexm(dir.path(), &["config", "init", "-o", "config.yaml"])
        .assert()
        .success();
    kubexm(dir.path(), &["config", "validate", "-f", "config.yaml"])
        .assert()
        .success();
    let printed = kubexm(dir.path(), &["config", "init"])
        .output()
        .unwrap()
        .stdout;
    assert_eq!(printed, fs::read(dir.path().join("config.yaml")).unwrap());

    fs::write(dir.path().join("config.yaml"), "mine").unwrap();
    insta::assert_snapshot!(told(dir.path(), &["config", "init", "-o", "config.yaml"]));
    assert_eq!(
        fs::read_to_string(dir.path().join("config.yaml")).unwrap(),
        "mine"
    );
}

#[test]
fn what_cannot_be_a_config_is_told_from_one() {
    let dir = with(CONFIG);
    fs::create_dir(dir.path().join("configs")).unwrap();
    let magic = [0x28, 0xb5, 0x2f, 0xfd, 0, 0];
    fs::write(dir.path().join("small.tar.zst"), magic).unwrap();
    let validate = |file| told(dir.path(), &["config", "validate", "-f", file]);
    insta::assert_snapshot!(
        ["configs", "small.tar.zst", "config.yaml/x"]
            .map(validate)
            .concat()
    );
}

/// An endless one must end before it has eaten the machine's memory.
#[test]
fn an_input_without_an_end_is_refused() {
    let dir = with(CONFIG);
    let program = kubexm(dir.path(), &[]).get_program().to_owned();
    let device = "error: cannot read /dev/zero\n  because: it is no regular file";
    for (args, why) in [
        (
            "config validate -f - < /dev/zero",
            "is larger than 16 MiB, the most that is read",
        ),
        ("config validate -f /dev/zero", device),
        ("bundle -f config.yaml --sign /dev/zero", device),
        ("bundle -f config.yaml --keyring /dev/zero", device),
    ] {
        let script = format!("ulimit -v 2000000; exec \"$0\" {args}");
        let mut command = assert_cmd::Command::new("sh");
        command
            .current_dir(dir.path())
            .args(["-c", &script])
            .arg(&program);
        let text = transcript(&mut command);
        assert!(
            text.starts_with("exit 2\n-- stderr\nerror: ") && text.contains(why),
            "{args}: {text}"
        );
    }
}

#[test]
fn a_config_comes_from_a_pipe_and_an_empty_one_is_told() {
    let dir = with(CONFIG);
    let program = kubexm(dir.path(), &[]).get_program().to_owned();
    let said = |script: &str| {
        let mut command = assert_cmd::Command::new("bash");
        command
            .current_dir(dir.path())
            .args(["-c", script])
            .arg(&program);
        transcript(&mut command)
    };
    let validated = said("exec \"$0\" config validate -f <(sleep 0.1; cat config.yaml)");
    assert!(
        validated.starts_with("exit 0\n") && validated.contains("pipe"),
        "{validated}"
    );
    for script in [
        "exec \"$0\" config validate -f <(false)",
        "mkfifo fifo && exec \"$0\" config validate -f fifo",
    ] {
        let text = said(script);
        assert!(
            text.starts_with("exit 2\n")
                && text.contains("it is a pipe, and nothing came out of it"),
            "{script}: {text}"
        );
    }
    let endless = said("ulimit -v 2000000; exec \"$0\" config validate -f <(yes)");
    assert!(endless.contains("is larger than 16 MiB"), "{endless}");
}

#[test]
fn what_cannot_be_read_or_written_is_wrong_usage() {
    let dir = with(CONFIG);
    fs::write(dir.path().join("file"), "").unwrap();
    let said = [
        &["config", "init", "-o", "no/dir/x"][..],
        &["config", "init", "-o", "file/x"],
        &["get", "cluster", "-f", "config.yaml", "--work-dir", "file"],
        &["bundle", "-f", "config.yaml", "--work-dir", "/proc/self"],
        &["inspect", "nowhere.tar.zst"],
    ]
    .map(|args| told(dir.path(), args));
    insta::assert_snapshot!(said.concat());
}

#[test]
fn what_no_bundle_can_be_made_of_is_not_valid() {
    let text = format!("{CONFIG}  system: {{os: [debian-99]}}\n  versions: {{nonsense: v1.0.0}}\n");
    let refused = validated(&text);
    insta::assert_snapshot!(refused);
    let dir = with(&text);
    let bundled = told(dir.path(), &["bundle", "-f", "config.yaml"]);
    assert_eq!(bundled, refused);
    assert!(!dir.path().join(".kubexm").exists());
}

#[test]
fn warnings_are_data_as_well() {
    let spec = "  system: {timezone: Nowhere/Atlantis}\n  kubernetes: {version: 1.99.99}\n";
    let dir = with(&format!("{CONFIG}{spec}"));
    let args = [
        "config",
        "validate",
        "-f",
        "config.yaml",
        "--output",
        "json",
    ];
    let output = kubexm(dir.path(), &args).output().unwrap();
    let valid: serde_json::Value = serde_json::from_str(one_line(&output)).unwrap();
    let warnings = valid["warnings"].as_array().unwrap();
    let first = &warnings[0];
    assert_eq!(first["path"], "spec.kubernetes.version", "{valid}");
    assert_eq!(
        (&first["line"], &first["severity"]),
        (&9.into(), &"warning".into())
    );
    assert!(valid["valid"].as_bool().unwrap());
}

#[test]
fn what_show_writes_is_valid_without_a_word() {
    let dir = with(&format!("{CONFIG}  network: {{plugin: flannel}}\n"));
    let shown = kubexm(dir.path(), &["config", "show", "-f", "config.yaml"])
        .output()
        .unwrap();
    let mut again = kubexm(dir.path(), &["config", "validate", "-f", "-"]);
    assert_eq!(
        transcript(again.write_stdin(shown.stdout)),
        "exit 0\n-- stdout\nstdin: valid\n"
    );
}

#[test]
fn a_key_is_explained_with_those_below_it() {
    let explain = |key: &[&str]| told(Path::new("."), &[&["config", "explain"], key].concat());
    let said = [
        &[][..],
        &["spec.etcd.dataDir"],
        &["spec.network.plugin"],
        &["spec.roleGroups.control-plane"],
        &["spec.registry.auths"],
        &["spec.dns.coredns.externalZones"],
        &["spec.kubernetes.autoRenewCerts"],
    ]
    .map(explain);
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_key_that_is_not_there_is_wrong_usage() {
    let explain = |key| told(Path::new("."), &["config", "explain", key]);
    let said = [
        "spec.etcd.datadir",
        "version",
        "spec.etcd.nonsense",
        "spec.kubernetes.kubeletConfiguration.failSwapOn",
        "nonsense",
    ]
    .map(explain);
    for text in &said {
        assert!(text.starts_with("exit 2"), "{text}");
    }
    insta::assert_snapshot!(said.concat());
}

#[test]
fn what_is_explained_is_data_as_well() {
    let args = ["config", "explain", "spec.hosts", "--output", "json"];
    let output = kubexm(Path::new("."), &args).output().unwrap();
    let hosts: serde_json::Value = serde_json::from_str(one_line(&output)).unwrap();
    assert_eq!(
        (&hosts["key"], &hosts["type"], &hosts["acts"]),
        (
            &"spec.hosts".into(),
            &"list of mappings".into(),
            &"yes".into()
        )
    );
    let keys = hosts["keys"].as_array().unwrap();
    let port = keys
        .iter()
        .find(|key| key["key"] == "spec.hosts.port")
        .unwrap();
    assert_eq!(
        (&port["default"], &port["required"]),
        (&22.into(), &false.into())
    );
}
