use std::{net::IpAddr, time::Duration};

use super::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const A: Payer = institution(1);
const B: Payer = institution(2);
const C: Payer = institution(3);

const fn institution(number: u8) -> Payer {
    Payer::Principal(Principal::Institution([number; 32]))
}

fn patient(number: u8, address: &str) -> Payer {
    Payer::Principal(Principal::Patient([number; 32], origin(address)))
}

fn stranger(address: &str) -> Payer {
    Payer::Stranger(origin(address))
}

fn origin(address: &str) -> Origin {
    address.parse::<IpAddr>().unwrap().into()
}

/// 16 MiB for transfers (8 MiB each), 8 MiB for messages (1 MiB each), 1 MiB for the public (128 KiB each), 1 MiB unsigned.
fn memory() -> BodyMemory {
    memory_that_reclaims(Some(Duration::from_millis(5)))
}

fn memory_that_reclaims(after: Option<Duration>) -> BodyMemory {
    let pool = |most| Pool::new(most, Duration::from_millis(40), after);
    let public = |pages| Public {
        pool: pool(1 << 10),
        address: 128,
        pages,
    };
    BodyMemory {
        transfers: Section {
            pool: pool(16 << 10),
            each: 8 << 10,
        },
        messages: Some(Section {
            pool: pool(8 << 10),
            each: 1 << 10,
        }),
        public: public(512),
        unsigned: public(usize::MAX),
    }
}

#[tokio::test]
async fn what_is_held_is_counted_until_it_shrinks_or_goes() {
    for bytes in [3 * KIB, 3 * MIB] {
        let memory = memory();
        let mut share = memory.reserve(&A, bytes).await.unwrap();
        assert_eq!(memory.in_use() as u64, bytes);
        share.shrink_to(1);
        assert_eq!(memory.in_use(), 1 << 10);
        share.shrink_to(1 << 30);
        assert_eq!(memory.in_use(), 1 << 10);
        drop(share);
        assert_eq!(memory.in_use(), 0);
    }
}

/// API-15
#[tokio::test]
async fn a_share_grows_with_what_comes() {
    let memory = memory();
    let mut share = memory
        .reserve_unsigned(origin("192.0.2.1"), 4 * KIB)
        .await
        .unwrap();
    assert_eq!(memory.in_use(), 4 << 10);
    share.grow_to(20 << 10).await.unwrap();
    share.grow_to(8 << 10).await.unwrap();
    assert_eq!(memory.in_use(), 20 << 10);
    assert!(share.grow_to(129 << 10).await.is_err(), "one address has 128 KiB");
    share.shrink_to(0);
    share.grow_to(2 << 10).await.unwrap();
    assert_eq!(memory.in_use(), 2 << 10);
    drop(share);
    assert_eq!(memory.in_use(), 0);
    assert!(memory.unsigned.pool.is_unused());
}

#[tokio::test]
async fn one_who_wants_more_than_his_part_gets_his_part() {
    let memory = memory();
    let all = memory.reserve(&A, 1 << 40).await.unwrap();
    assert_eq!(memory.in_use(), 8 << 20);
    assert!(memory.reserve(&A, MIB).await.is_err());
    drop(all);
    assert!(memory.reserve(&A, MIB).await.is_ok());
}

#[tokio::test]
async fn one_principal_waits_for_itself_and_not_in_the_way_of_others() {
    let memory = memory();
    let _held = memory.reserve(&A, 8 * MIB).await.unwrap();
    let (own, other) = tokio::join!(memory.reserve(&A, MIB), memory.reserve(&B, 8 * MIB));
    assert!(own.is_err() && other.is_ok());
}

#[tokio::test]
async fn transfers_never_take_the_memory_of_messages() {
    let memory = memory();
    let _a = memory.reserve(&A, 8 * MIB).await.unwrap();
    let _b = memory.reserve(&B, 8 * MIB).await.unwrap();
    assert!(memory.reserve(&C, MESSAGE + 1).await.is_err());
    assert!(memory.reserve(&C, MESSAGE).await.is_ok());
    assert!(memory.reserve_page(&C, MIB).await.is_ok());
    // Nor do messages take all of it.
    let _page = memory.reserve_page(&A, 1 << 40).await.unwrap();
    assert!(memory.reserve(&A, 1).await.is_err());
    assert!(memory.reserve(&C, 1).await.is_ok());
}

#[tokio::test]
async fn control_they_take_it_where_none_is_kept() {
    let memory = BodyMemory {
        messages: None,
        ..memory()
    };
    let _a = memory.reserve(&A, 8 * MIB).await.unwrap();
    let _b = memory.reserve(&B, 8 * MIB).await.unwrap();
    assert!(memory.reserve(&C, MESSAGE).await.is_err());
    assert!(memory.reserve_page(&C, MIB).await.is_err());
}

#[tokio::test]
async fn an_address_has_its_own_part_and_long_pages_half() {
    let memory = memory();
    let mut held = Vec::new();
    for address in ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"] {
        let stranger = stranger(address);
        held.push(memory.reserve_page(&stranger, 128 * KIB).await.unwrap());
        assert!(memory.reserve(&stranger, 1).await.is_err());
    }
    let fifth = stranger("2001:db8:1::1");
    assert!(memory.reserve_page(&fifth, 1).await.is_err());
    assert!(memory.reserve(&fifth, 128 * KIB).await.is_ok());
    drop(held.pop());
    assert!(memory.reserve_page(&fifth, 128 * KIB).await.is_ok());
}

/// API-16
#[tokio::test]
async fn free_accounts_together_leave_institutions_a_quarter() {
    let memory = memory();
    let mut held = Vec::new();
    for number in 0..10 {
        held.push(memory.reserve(&patient(number, "192.0.2.1"), MIB).await.unwrap());
    }
    assert!(memory.reserve(&patient(10, "192.0.2.1"), MIB).await.is_err());
    held.push(
        memory
            .reserve(&patient(11, "198.51.100.1"), 2 * MIB)
            .await
            .unwrap(),
    );
    assert!(memory.reserve(&patient(12, "203.0.113.1"), MIB).await.is_err());
    assert!(memory.reserve(&A, 4 * MIB).await.is_ok());
}

/// What a slow body holds is taken back for who waits, and given to him.
async fn reclaimed(memory: &BodyMemory, held: Vec<Share>, for_whom: Payer, bytes: u64) -> (usize, bool) {
    let bodies: Vec<_> = held
        .into_iter()
        .map(|share| {
            tokio::spawn(async move {
                let watch = share.watch().begin();
                let patience = Duration::from_millis(500);
                let taken = tokio::time::timeout(patience, watch.taken()).await.is_ok();
                drop(share);
                taken
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let given = memory.reserve(&for_whom, bytes).await.is_ok();
    let mut taken = 0;
    for body in bodies {
        taken += usize::from(body.await.unwrap());
    }
    (taken, given)
}

async fn shares(memory: &BodyMemory, payers: &[(Payer, usize)]) -> Vec<Share> {
    let mut shares = Vec::new();
    for (payer, times) in payers {
        for _ in 0..*times {
            shares.push(memory.reserve(payer, MIB).await.unwrap());
        }
    }
    shares
}

/// Accounts of one address that have nearly all that is for patients, and one of another that has the rest.
async fn all_of_the_patients(memory: &BodyMemory) -> Vec<Share> {
    let mut accounts: Vec<_> = (0..10).map(|number| (patient(number, "192.0.2.1"), 1)).collect();
    accounts.push((patient(10, "203.0.113.1"), 2));
    shares(memory, &accounts).await
}

/// API-16
#[tokio::test]
async fn memory_is_taken_back_from_who_holds_most() {
    let memory = memory();
    let held = all_of_the_patients(&memory).await;
    let other = patient(99, "198.51.100.1");
    assert_eq!(reclaimed(&memory, held, other, 2 * MIB).await, (2, true));
    assert!(memory.transfers.pool.is_unused());
}

#[tokio::test]
async fn control_without_that_he_waits_in_vain() {
    let memory = memory_that_reclaims(None);
    let held = all_of_the_patients(&memory).await;
    let other = patient(99, "198.51.100.1");
    assert_eq!(reclaimed(&memory, held, other, 2 * MIB).await, (0, false));
}

#[tokio::test]
async fn nothing_is_taken_from_who_holds_no_more() {
    let memory = memory();
    let held = shares(&memory, &[(A, 8), (B, 8)]).await;
    // With 8 MiB of theirs he would have as much as each had.
    assert_eq!(reclaimed(&memory, held, C, 8 * MIB).await, (0, false));
}

/// Two addresses of one network, and a third one of another.
#[tokio::test]
async fn addresses_of_one_network_count_together_towards_others() {
    let memory = memory();
    let near = [patient(1, "192.0.2.1"), patient(2, "192.0.2.2")];
    let held = shares(
        &memory,
        &[(near[0], 6), (near[1], 3), (patient(3, "198.51.100.1"), 3)],
    )
    .await;
    let far = patient(4, "203.0.113.1");
    assert_eq!(reclaimed(&memory, held, far, 3 * MIB).await, (3, true));
    let held = shares(&memory, &[(near[0], 8), (near[1], 4)]).await;
    let neighbour = patient(5, "192.0.2.3");
    assert_eq!(reclaimed(&memory, held, neighbour, MIB).await, (1, true));
}

/// API-16
#[tokio::test]
async fn senders_must_hurry_as_memory_grows_scarce() {
    let memory = memory();
    let a = memory.reserve(&A, 8 * MIB).await.unwrap();
    assert_eq!(a.watch().haste(), 1);
    let b = memory.reserve(&B, 6 * MIB).await.unwrap();
    assert_eq!(b.watch().haste(), 4);
    let _more = memory.reserve(&B, 2 * MIB).await.unwrap();
    assert_eq!(a.watch().haste(), 8);
}

/// ATK-76: however many wait, one of them looks for all, at a pace.
#[tokio::test]
async fn who_waits_does_not_look_for_himself() {
    let memory = memory();
    let mut held = Vec::new();
    for number in 0..8 {
        let holder = stranger(&format!("192.0.{number}.1"));
        held.push(memory.reserve(&holder, 128 * KIB).await.unwrap());
    }
    let started = std::time::Instant::now();
    let wait = |number: usize| {
        let waiting = stranger(&format!("198.{}.{}.1", number / 256, number % 256));
        let memory = &memory;
        async move { memory.reserve(&waiting, KIB).await }
    };
    let refused = futures_util::future::join_all((0..1000).map(wait)).await;
    assert!(refused.iter().all(Result::is_err));
    // Half of 5 ms from one look to the next.
    let most = started.elapsed().as_micros() / 2500 + 1;
    let looks = memory.public.pool.looks();
    assert!((1..=most).contains(&(looks as u128)), "{looks} of {most}");
}

#[tokio::test]
async fn whoever_holds_nothing_is_forgotten() {
    let memory = memory();
    for number in 0..100 {
        drop(memory.reserve(&patient(number, "192.0.2.1"), MIB).await.unwrap());
    }
    assert!(memory.transfers.pool.is_unused());
}

/// More wait than may: they are refused at once.
#[tokio::test]
async fn no_queue_grows_without_end() {
    let memory = memory();
    let stranger = stranger("192.0.2.1");
    let _held = memory.reserve(&stranger, 128 * KIB).await.unwrap();
    let started = std::time::Instant::now();
    let waiting = futures_util::future::join_all((0..1000).map(|_| memory.reserve(&stranger, KIB)));
    let refused = waiting.await;
    assert!(refused.iter().all(Result::is_err));
    assert!(
        started.elapsed() >= Duration::from_millis(40),
        "64 of them waited"
    );
    assert_eq!(memory.public.pool.holding_and_waiting(), (1, 0));
}
