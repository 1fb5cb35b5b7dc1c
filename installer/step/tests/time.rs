//! Clocks and time zones: what is asked of a host, and what is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::{Cx, Data, Retry, State, Step};
use event::{Event, Events, Sink};
use host::fake::FakeHost;
use jiff::Timestamp;
use step::{ProveTime, SetTimezone, StopServices};

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Sink for Heard {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Seen { what, .. } = event {
            self.0.lock().unwrap().push(what.clone());
        }
    }
}

fn on(host: FakeHost) -> (Arc<FakeHost>, Cx, Arc<Heard>) {
    let (host, heard) = (Arc::new(host), Arc::new(Heard::default()));
    let events = Events::to(vec![heard.clone()]);
    let cx = Cx::new(host.clone(), events.progress(events.next_id(), None));
    (host, cx, heard)
}

const ONCE: Retry = Retry {
    attempts: 1,
    first_delay: Duration::ZERO,
};

async fn proven(status: u32, tracking: &str) -> String {
    let (_, cx, heard) = on(FakeHost::new("node1").on("tracking", status, tracking));
    let step = ProveTime { patience: ONCE };
    match step.check(&cx).await.unwrap() {
        State::Satisfied => heard.0.lock().unwrap().join("\n"),
        State::Needed(why) => {
            // Nobody waits for a fake to change its mind.
            let error = step.apply(&cx).await.unwrap_err();
            assert_eq!(error.to_string(), why);
            assert!(
                error
                    .hint()
                    .unwrap()
                    .starts_with("on the host: chronyc sources")
            );
            why
        }
    }
}

#[tokio::test]
async fn a_clock_goes_by_a_source() {
    let by_another =
        "AC1E000B,172.30.0.11,11,1795253248.4,-0.000200000,0.1,0.1,0.6,0.3,8.9,0.1,0.1,2.0,Normal";
    insta::assert_snapshot!(proven(0, by_another).await, @"172.30.0.11, stratum 11, 0.200 ms off");
    let by_itself = "7F7F0101,,10,1795253236.2,0.000000000,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,Normal";
    insta::assert_snapshot!(proven(0, by_itself).await, @"its own clock, stratum 10, 0.000 ms off");
    let by_nobody = "00000000,,0,0.0,0.000000000,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised";
    insta::assert_snapshot!(proven(0, by_nobody).await, @"chrony has found no source of time yet");
    let far_off =
        "AC1E000B,172.30.0.11,11,1795253248.4,-7.250000000,0.1,0.1,0.6,0.3,8.9,0.1,0.1,2.0,Normal";
    insta::assert_snapshot!(proven(0, far_off).await, @"the clock is 7.2 s off 172.30.0.11");
    let down = "506 Cannot talk to daemon";
    insta::assert_snapshot!(proven(1, down).await, @"chrony does not answer: 506 Cannot talk to daemon");
}

#[tokio::test]
async fn a_clock_without_a_source_is_waited_for_in_words_and_asked_for() {
    #[derive(Default)]
    struct Waits(Mutex<Vec<String>>);
    impl Sink for Waits {
        fn on(&self, _: Timestamp, event: &Event) {
            if let Event::Waiting { for_what, .. } = event {
                self.0.lock().unwrap().push(for_what.clone());
            }
        }
    }
    let nobody = "00000000,,0,0.0,0.000000000,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised";
    let well =
        "AC1E000B,172.30.0.11,11,1795253248.4,-0.0002,0.1,0.1,0.6,0.3,8.9,0.1,0.1,2.0,Normal";
    let mut answers = vec![well, nobody];
    let host = FakeHost::new("node1").on_command(move |command, _| {
        let tracking = command.text().contains("tracking");
        let stdout = tracking
            .then(|| answers.pop())
            .flatten()
            .unwrap_or_default();
        Some(Ok(host::Output {
            status: 0,
            stdout: stdout.into(),
            stderr: Vec::new(),
        }))
    });
    let (host, heard) = (Arc::new(host), Arc::new(Waits::default()));
    let events = Events::to(vec![heard.clone()]);
    let cx = Cx::new(host.clone(), events.progress(events.next_id(), None));
    let step = ProveTime {
        patience: Retry::NETWORK,
    };
    step.apply(&cx).await.unwrap();
    let waits = heard.0.lock().unwrap().clone();
    assert_eq!(waits, ["chrony has found no source of time yet"]);
    assert!(host.transcript().contains("chronyc burst"));
}

async fn zone(answer: &str) -> State {
    let (_, cx, _) = on(FakeHost::new("node1").on("readlink", 0, answer));
    let step = SetTimezone {
        zone: "Asia/Shanghai".into(),
    };
    step.check(&cx).await.unwrap()
}

#[tokio::test]
async fn a_zone_is_what_the_link_leads_to() {
    let is = "/usr/share/zoneinfo/Asia/Shanghai\n/usr/share/zoneinfo/Asia/Shanghai\n";
    assert_eq!(zone(is).await, State::Satisfied);
    assert_eq!(
        zone(&format!("{is}Asia/Shanghai\n")).await,
        State::Satisfied
    );
    let other_name = format!("{is}Etc/UTC\n");
    assert_eq!(zone(&other_name).await, State::needed("is Asia/Shanghai"));
    let utc = "/usr/share/zoneinfo/Etc/UTC\n/usr/share/zoneinfo/Asia/Shanghai\n";
    assert_eq!(zone(utc).await, State::needed("is Etc/UTC"));
}

#[tokio::test]
async fn an_unknown_zone_is_told_of() {
    let host = FakeHost::new("node1").on("ln -sfn", 1, "there is no such zone");
    let (_, cx, _) = on(host);
    let step = SetTimezone {
        zone: "Europe/Atlantis".into(),
    };
    let error = step.apply(&cx).await.unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"cannot set the time zone to Europe/Atlantis: there is no such zone");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn only_services_that_run_are_stopped_and_all_are_given_back() {
    let step = StopServices {
        units: &["systemd-timesyncd.service", "ntpd.service"],
    };
    let (_, bare, _) = on(FakeHost::new("node1"));
    assert_eq!(step.check(&bare).await.unwrap(), State::Satisfied);
    let host = FakeHost::new("node1").on("is-enabled", 0, "ntpd.service\n");
    let (host, cx, _) = on(host);
    let reason = step.check(&cx).await.unwrap();
    assert_eq!(reason, State::needed("ntpd.service runs"));
    step.apply(&cx).await.unwrap();
    let transcript = host.transcript();
    assert!(
        transcript.contains("note unit ntpd.service <"),
        "{transcript}"
    );
    assert!(
        transcript.contains("# systemctl disable --now ntpd.service"),
        "{transcript}"
    );
    assert!(
        !transcript.contains("note unit systemd-timesyncd"),
        "{transcript}"
    );
    let back = step.counterpart(Data::Keep).unwrap();
    assert_eq!(
        back.id(),
        "take back unit systemd-timesyncd.service, unit ntpd.service"
    );
}
