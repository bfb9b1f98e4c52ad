//! Programs that the registrar vouches for: what is taken, and that it is taken once.

use actors::KeyPair;
use protocol_spec::{
    bodies::Program,
    hash::Sha256Digest,
    ids::RegistrarId,
    log::{Entry, verify_published},
    messages as pb,
    problem::Problem,
};
use tokio::task::JoinSet;

use super::{
    problem,
    world::{START, World},
};
use crate::vault::who::programs;

/// The world's registrar, by whose seed it signs.
pub(super) const REGISTRAR: u8 = 2;

pub(super) fn program(signer: u8, change: impl FnOnce(&mut Program)) -> pb::PublishProgram {
    let text = |text: &str| text.to_owned().try_into().unwrap();
    let mut program = Program {
        created: START,
        registrar_id: RegistrarId::from(&KeyPair::new(REGISTRAR).public()),
        name: text("medvault"),
        version: text("1.0.0"),
        target: text("x86_64-unknown-linux-gnu"),
        source: text("a revision"),
        toolchain: text("a compiler"),
        file_hash: Sha256Digest::of(b"a program"),
    };
    change(&mut program);
    pb::PublishProgram {
        program: Some(KeyPair::new(signer).signed(program).to_message()),
    }
}

/// PRG-1, PRG-2: what the registrar has not signed, or signs for another registrar, is not taken.
#[tokio::test]
async fn only_the_registrar_vouches() {
    let world = World::new().await;
    let before = world.directory_size().await;
    let other = RegistrarId::from(&KeyPair::new(9).public());
    for message in [
        program(9, |_| ()),
        program(9, |program| program.registrar_id = other),
        program(REGISTRAR, |program| program.registrar_id = other),
    ] {
        let answer = programs::publish_program(&world.vault, message).await;
        assert_eq!(problem(answer), Problem::NotPermitted);
    }
    let nothing = pb::PublishProgram { program: None };
    assert_eq!(
        problem(programs::publish_program(&world.vault, nothing).await),
        Problem::Malformed
    );
    assert_eq!(world.directory_size().await, before);
}

/// PRG-2: the same again is answered with the first; whatever else is said of this version is refused, and another version is not.
#[tokio::test]
async fn one_statement_stands_for_a_version() {
    let world = World::new().await;
    let before = world.directory_size().await;
    let publish = async |message| programs::publish_program(&world.vault, message).await;
    let first = publish(program(REGISTRAR, |_| ())).await.unwrap();
    let entry = Entry::Program(first.program.clone().unwrap());
    verify_published(first.proof, &entry, &world.operator_key()).unwrap();
    let again = publish(program(REGISTRAR, |program| program.created += 1)).await;
    assert_eq!(again.unwrap().program, first.program);
    let text = |text: &str| text.to_owned().try_into().unwrap();
    let others: [fn(&mut Program); 3] = [
        |program| program.file_hash = Sha256Digest::of(b"another"),
        |program| program.source = "another".to_owned().try_into().unwrap(),
        |program| program.toolchain = "another".to_owned().try_into().unwrap(),
    ];
    for other in others {
        let answer = publish(program(REGISTRAR, other)).await;
        assert_eq!(problem(answer), Problem::AlreadyExists);
    }
    assert_eq!(world.directory_size().await, before + 1);
    publish(program(REGISTRAR, |program| program.version = text("1.0.1")))
        .await
        .unwrap();
    publish(program(REGISTRAR, |program| program.target = text("elsewhere")))
        .await
        .unwrap();
    assert_eq!(world.directory_size().await, before + 3);
    world.check().await;
}

/// PRG-2: of two files that come at once under one version one is taken.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_files_at_once_one_is_taken() {
    let world = World::new().await;
    let before = world.directory_size().await;
    let mut all = JoinSet::new();
    for file in 0..8_u8 {
        let vault = world.vault.clone();
        let message = program(REGISTRAR, |program| program.file_hash = Sha256Digest::of(&[file]));
        all.spawn(async move { programs::publish_program(&vault, message).await });
    }
    let answers = all.join_all().await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(taken.len(), 1);
    for answer in refused {
        assert_eq!(problem(answer), Problem::AlreadyExists);
    }
    assert_eq!(world.directory_size().await, before + 1);
}
