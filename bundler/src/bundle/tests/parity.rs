//! Parity beside a bundle, and what it is good for.

use artifact::{Percent, Repair};
use event::Progress;

use super::*;

#[tokio::test]
async fn what_was_lost_of_a_bundle_comes_back_out_of_its_parity() {
    let site = Site::new(SPEC).await;
    let request = Request {
        parity: Percent::new(100),
        ..site.request("work")
    };
    let made = run(request, &Events::nowhere()).await.unwrap();
    assert_eq!(made.parity.len(), 1, "{:?}", made.parity);
    let parity = &made.parity[0].path;
    assert_eq!(*parity, site.path("work/example.parity"));
    let whole = std::fs::read(&made.out).unwrap();
    std::fs::remove_file(&made.out).unwrap();
    let cancel = Cancel::default();
    let repair = Repair::look(std::slice::from_ref(parity), &cancel).unwrap();
    let out = site.path("work");
    let mended = repair.mend(&out, &Progress::unseen(), &cancel).unwrap();
    assert_eq!(mended.len(), 1);
    assert!(std::fs::read(&made.out).unwrap() == whole);
    open(&made);
}
