use super::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const A: Payer = Payer::Principal([1; 32]);
const B: Payer = Payer::Principal([2; 32]);
const C: Payer = Payer::Principal([3; 32]);

/// 16 MiB for transfers, 8 MiB for messages (1 MiB each), 1 MiB for the public (128 KiB each).
fn memory() -> BodyMemory {
    BodyMemory {
        transfers: Section::new(16 << 10, 8 << 10),
        messages: Some(Section::new(8 << 10, 1 << 10)),
        public: Arc::new(Semaphore::new(1 << 10)),
        public_pages: Arc::new(Semaphore::new(512)),
        connection: 128,
        most: 25 << 10,
        patience: Duration::from_millis(20),
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
async fn a_connection_has_its_own_part_and_long_pages_half() {
    let memory = memory();
    let connections: Vec<Payer> = (0..5)
        .map(|_| Payer::Connection(memory.of_connection()))
        .collect();
    let mut held = Vec::new();
    for connection in &connections[..4] {
        held.push(memory.reserve_page(connection, 128 * KIB).await.unwrap());
        assert!(memory.reserve(connection, 1).await.is_err());
    }
    assert!(memory.reserve_page(&connections[4], 1).await.is_err());
    assert!(memory.reserve(&connections[4], 128 * KIB).await.is_ok());
    drop(held.pop());
    assert!(memory.reserve_page(&connections[4], 128 * KIB).await.is_ok());
}

#[tokio::test]
async fn principals_are_forgotten() {
    let memory = memory();
    for principal in 0..100 {
        let payer = Payer::Principal([principal; 32]);
        drop(memory.reserve(&payer, MIB).await.unwrap());
    }
    assert_eq!(memory.transfers.principals.lock().unwrap().len(), 1);
}
