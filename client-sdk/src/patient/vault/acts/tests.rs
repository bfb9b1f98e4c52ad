//! What several processes of one home keep of what was done to a vault.

use protocol_spec::ids::PermissionId;

use super::*;

fn act(number: u8) -> Act {
    Act::Permission(
        PermissionId::from_bytes([number; 16]),
        Sha256Digest::of(&[number]),
    )
}

/// A process that has read the home, and has seen these since.
fn seen(home: &Home, since: &[u8]) -> SeenActs {
    let mut seen = SeenActs::default();
    seen.read(home).unwrap();
    since.iter().for_each(|number| seen.acts.push(act(*number)));
    seen
}

fn kept(home: &Home) -> Vec<Act> {
    seen(home, &[]).acts.iter().copied().collect()
}

/// VLT-3: each keeps what it has seen behind what the others have kept; who has seen other things is told.
#[tokio::test]
async fn processes_keep_one_list() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    let (mut one, mut other, mut liar) = (seen(&home, &[1]), seen(&home, &[1, 2]), seen(&home, &[1, 9]));
    one.keep(&home).await.unwrap();
    other.keep(&home).await.unwrap();
    assert_eq!(kept(&home), [act(1), act(2)]);
    one.keep(&home).await.unwrap();
    assert_eq!(kept(&home), [act(1), act(2)], "nothing new");
    for number in [2, 3, 4] {
        one.acts.push(act(number));
        one.keep(&home).await.unwrap();
    }
    other.acts.push(act(3));
    other.keep(&home).await.unwrap();
    assert_eq!(kept(&home), [1, 2, 3, 4].map(act), "another process has more");
    let refused = liar.keep(&home).await;
    assert!(
        matches!(
            refused,
            Err(Error::Contradicted(Contradiction::OtherVault { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(kept(&home).len(), 4);
}

/// VLT-3, KEY-19: what a power cut has torn is what the device has not seen; what somebody has taken away is no beginning.
#[tokio::test]
async fn a_torn_end_is_gone_on_from() {
    let file = |dir: &tempfile::TempDir| dir.path().join(ACTS);
    for torn in [
        &[0; Act::LEN][..],
        &[0; 2 * Act::LEN + 3],
        &[6, 6],
        &[200; 3 * Act::LEN],
        &[],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        seen(&home, &[1]).keep(&home).await.unwrap();
        let first = std::fs::read(file(&dir)).unwrap();
        seen(&home, &[2]).keep(&home).await.unwrap();
        let mut going_on = seen(&home, &[3]);
        let bytes = [&std::fs::read(file(&dir)).unwrap(), torn].concat();
        std::fs::write(file(&dir), bytes).unwrap();
        assert_eq!(kept(&home), [act(1), act(2)]);
        going_on.keep(&home).await.unwrap();
        assert_eq!(kept(&home), [1, 2, 3].map(act), "{torn:?}");
        home.seal().unwrap();
        std::fs::write(file(&dir), first).unwrap();
        let cut = SeenActs::default().read(&home);
        assert!(matches!(cut, Err(Error::HomeAltered { .. })), "{cut:?}");
        std::fs::remove_file(file(&dir)).unwrap();
        let gone = SeenActs::default().read(&home);
        assert!(matches!(gone, Err(Error::HomeAltered { .. })), "{gone:?}");
    }
}
