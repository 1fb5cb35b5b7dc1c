use serde_json::Value;

use super::*;

fn formats<'s>(schema: &'s Value, found: &mut Vec<&'s str>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| formats(item, found)),
        Value::Object(object) => {
            found.extend(object.get("format").and_then(Value::as_str));
            object.values().for_each(|value| formats(value, found));
        }
        _ => {}
    }
}

#[test]
fn every_format_of_the_schema_has_a_rule() {
    let schema = crate::schema::bare();
    let mut found = Vec::new();
    formats(&schema, &mut found);
    assert!(found.contains(&"image") && found.contains(&"taint"));
    for format in found {
        assert!(is_known(format), "{format}");
    }
}

#[test]
fn what_would_break_later_is_not() {
    for (format, texts) in [
        (
            "login",
            &["", "-oProxyCommand=x", "root@", "a b", "a:b", "a\nb"][..],
        ),
        (
            "absolute-path",
            &[
                "", "a/b", "/a/../b", "/a b", "/a:b", "/a%b", "/a\"b", "/a$b",
            ],
        ),
        ("node-name", &[&"a".repeat(64), "a.", "A"]),
    ] {
        for text in texts {
            assert!(check(format, text).1.is_err(), "{format}: {text}");
        }
    }
}

#[test]
fn what_people_really_write_is_taken() {
    for (format, texts) in [
        (
            "image",
            &[
                "nginx",
                "nginx:1.29",
                "localhost/a",
                "registry.k8s.io/coredns/coredns:v1.12.1",
                "a.b:5000/c/d_e:x",
            ][..],
        ),
        (
            "ip-or-name",
            &["172.16.0.2", "2022::2", "node1", "time1.cloud.tencent.com"],
        ),
        (
            "ip-port",
            &["10.0.0.1", "10.0.0.1:5353", "fd00::1", "[fd00::1]:53"],
        ),
        (
            "zone",
            &[".", "example.com", "example.com.", "example.com:1053"],
        ),
        (
            "timezone",
            &[
                "Asia/Shanghai",
                "UTC",
                "Etc/GMT+8",
                "America/Argentina/Buenos_Aires",
            ],
        ),
        (
            "taint",
            &[
                "a=b:NoSchedule",
                "a:NoExecute",
                "example.com/a=:PreferNoSchedule",
            ],
        ),
        (
            "package",
            &["nfs-common", "libstdc++6", "kernel-modules-extra.x86_64"],
        ),
        (
            "http-url",
            &[
                "https://192.168.6.6:2379",
                "http://[fd00::1]:2379",
                "https://etcd.example.com",
            ],
        ),
        (
            "login",
            &[
                "root",
                "ops-1",
                "_svc",
                "j.doe@corp.example",
                "CORP\\jdoe",
                "host$",
            ],
        ),
        (
            "absolute-path",
            &["/var/lib/etcd", "/srv/disk-1/a_b.c/", "/mnt/x+y@z"],
        ),
        ("node-name", &["node1", "a.example.com", &"a".repeat(63)]),
        ("flag", &["--root-dir=/var/lib/kubelet", "--v=2"]),
    ] {
        for text in texts {
            assert!(check(format, text).1.is_ok(), "{format}: {text}");
        }
    }
}
