//! What accounts are charged with, and what makes them larger.

use protocol_spec::ids::LinkId;

use super::world::{Terms, World, intent};
use crate::vault::core::run;
use crate::vault::{
    Refusal,
    core::{
        account::MOST_RELATIONS,
        tx::{Operation, Tx},
    },
    tables,
};
use crate::vault::{ask::revocation::SubmitRevocation, core::submission::submit, device::links::Offer};
use crate::vault::{
    core::{account, idempotency},
    device::links,
};

/// Two patients have accepted one another.
struct Met([u8; 32], [u8; 32]);

impl Operation for Met {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        account::have_met(tx, self.0, self.1).await
    }
}

impl World {
    async fn relations(&self, principal: [u8; 32]) -> Option<u64> {
        let ledger = &*self.vault.shared.ledger;
        let row = tables::account(principal).get(ledger).await.unwrap();
        row.map(|row| row.relations)
    }
}

/// ACC-6: accounts are free, so they give each other budget only up to a point.
#[tokio::test]
async fn patients_give_each_other_no_endless_budget() {
    let world = World::new().await;
    let one = *world.patient.id.as_bytes();
    for number in 0..MOST_RELATIONS + 9 {
        let mut other = [0; 32];
        other[..8].copy_from_slice(&number.to_be_bytes());
        run::run(&world.vault.shared, &Met(one, other)).await.unwrap();
        assert_eq!(world.relations(other).await, Some(1));
        assert_eq!(world.relations(one).await, Some(MOST_RELATIONS.min(number + 1)));
    }
}

/// FLW-14: the same end again and again, each time under another key, takes nothing of what is kept for ends.
#[tokio::test]
async fn what_changes_nothing_is_not_kept() {
    let world = World::new().await;
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    let caller = world.as_patient().await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let (intent, message) = (intent(), world.patient.revokes(&permission));
        let vault = &world.vault;
        submit::<SubmitRevocation>(vault, &caller, &intent, message)
            .await
            .unwrap();
        kept.push(
            idempotency::was_answered(&vault.shared, &caller, intent.key)
                .await
                .unwrap(),
        );
    }
    assert_eq!(kept, [true, false, false]);
}

/// DEV-12: an offer goes by itself, and leaves no account of a device that was never anybody's.
#[tokio::test]
async fn an_offer_leaves_no_account() {
    let world = World::new().await;
    let (_, device) = world.patient.adding(50);
    let message = device.link_offer();
    let caller = links::offering(&message).unwrap();
    let link = LinkId::from_bytes([1; 32]);
    submit::<Offer>(&world.vault, &caller, &intent(), (link, message))
        .await
        .unwrap();
    assert_eq!(world.relations(caller.principal()).await, None);
}
