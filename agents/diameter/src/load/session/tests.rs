use CcRequestType::{Event, Initial, Termination, Update};

use super::*;

fn told(code: u32, groups: &[(u32, u32, Option<u64>, bool)]) -> Told {
    let group = |(rating_group, code, granted, last): &(u32, u32, Option<u64>, bool)| ToldGroup {
        rating_group: Some(*rating_group),
        code: *code,
        granted: *granted,
        last: *last,
    };
    Told { code, groups: groups.iter().map(group).collect(), cost: None }
}

/// Kind, number, and what is told of each group: used, wanted.
type Asked = (CcRequestType, u32, Vec<(u32, u64, Option<u64>)>);

fn ask(session: &mut Session) -> (Step, Asked) {
    let step = session.step();
    let groups = step.groups.iter().map(|group| (group.rating_group, group.used, group.wanted)).collect();
    let asked = (step.kind, step.number, groups);
    (step, asked)
}

#[test]
fn a_session_uses_what_it_is_granted_and_reports_it_once() {
    let mut session = Session::new(&[10, 20], 2, 500, false);
    let all = |used: u64| vec![(10, used, Some(500)), (20, used, Some(500))];
    let (step, asked) = ask(&mut session);
    assert_eq!(asked, (Initial, 0, all(0)));
    // More than it wants of one group, less of the other.
    assert_eq!(
        session.answered(&step, &told(2001, &[(10, 2001, Some(800), false), (20, 2001, Some(300), false)])),
        None
    );
    let (step, asked) = ask(&mut session);
    assert_eq!(asked, (Update, 1, vec![(10, 500, Some(500)), (20, 300, Some(500))]));
    assert_eq!(step.used_so_far, 500);
    // The last of one group; the other gets nothing more.
    assert_eq!(session.answered(&step, &told(2001, &[(10, 2001, Some(200), true), (20, 4012, None, false)])), None);
    let (step, asked) = ask(&mut session);
    assert_eq!(asked, (Termination, 2, vec![(10, 200, None)]), "no group has credit: it ends before its last update");
    assert_eq!(session.answered(&step, &told(2001, &[(10, 2001, None, false)])), Some(Ended::Closed));
    assert_eq!(session.unreported().map(|(_, used)| used).sum::<u64>(), 0);
}

#[test]
fn units_of_zero_leave_it_to_the_server() {
    let mut session = Session::new(&[10], 1, 0, false);
    let (step, asked) = ask(&mut session);
    assert_eq!(asked.2, [(10, 0, Some(0))]);
    assert_eq!(session.answered(&step, &told(2001, &[(10, 2001, Some(7), false)])), None);
    assert_eq!(ask(&mut session).1, (Update, 1, vec![(10, 7, Some(0))]));
}

#[test]
fn refusals_by_the_request_they_answer() {
    let rows = [
        (0, 5030, Some(Ended::Refused), None),
        (1, 3004, None, Some((Update, 5))),
        (1, 5012, None, Some((Termination, 5))),
        (1, 5002, Some(Ended::Failed), None),
        (3, 3004, None, Some((Termination, 5))),
        (3, 5012, Some(Ended::Failed), None),
    ];
    for (at, code, ended, then) in rows {
        let mut session = Session::new(&[10], 2, 5, false);
        for _ in 0..at {
            let (step, _) = ask(&mut session);
            assert_eq!(session.answered(&step, &told(2001, &[(10, 2001, Some(5), false)])), None);
        }
        let (step, _) = ask(&mut session);
        assert_eq!(session.answered(&step, &told(code, &[])), ended, "request {at}, {code}");
        let next = then.map(|_| ask(&mut session).1);
        let next = next.map(|(kind, _, groups)| (kind, groups.iter().map(|group| group.1).sum::<u64>()));
        assert_eq!(next, then, "request {at}, {code}: the usage is told again");
    }
    let mut busy = Session::new(&[10], 0, 5, false);
    let (step, _) = ask(&mut busy);
    busy.answered(&step, &told(2001, &[]));
    let ends: Vec<_> = (0..ENDS_MAX)
        .map(|_| {
            let step = busy.step();
            busy.answered(&step, &told(3004, &[]))
        })
        .collect();
    assert_eq!(ends.last(), Some(&Some(Ended::Failed)), "not for ever: {ends:?}");
}

#[test]
fn events_are_over_with_their_answer() {
    for (code, ended) in [(2001, Ended::Closed), (4012, Ended::Refused)] {
        let mut session = Session::new(&[0], 3, 1, true);
        let (step, asked) = ask(&mut session);
        assert_eq!(asked.0, Event);
        assert_eq!(session.answered(&step, &told(code, &[])), Some(ended));
    }
}

#[test]
fn aborted_and_reauthorized() {
    let mut session = Session::new(&[10], 0, 5, false);
    let (step, _) = ask(&mut session);
    session.answered(&step, &told(2001, &[(10, 2001, Some(5), true)]));
    session.reauthorize();
    let (step, asked) = ask(&mut session);
    assert_eq!(asked, (Update, 1, vec![(10, 5, Some(5))]), "there is credit again");
    session.answered(&step, &told(2001, &[(10, 2001, Some(5), false)]));
    session.end();
    assert_eq!(ask(&mut session).1, (Termination, 2, vec![(10, 5, None)]));
}

#[test]
fn what_was_lost_is_not_told_twice() {
    let mut session = Session::new(&[10], 3, 5, false);
    let (step, _) = ask(&mut session);
    session.answered(&step, &told(2001, &[(10, 2001, Some(5), false)]));
    let (step, _) = ask(&mut session);
    assert_eq!(session.lost(&step), None);
    let (step, asked) = ask(&mut session);
    assert_eq!(asked, (Termination, 2, vec![]));
    assert_eq!(session.lost(&step), Some(Ended::Lost));
    let mut fresh = Session::new(&[10], 3, 5, false);
    let (step, _) = ask(&mut fresh);
    assert_eq!((fresh.lost(&step), ask(&mut fresh).1.0), (None, Termination), "it may stand there");
}
