use std::net::IpAddr;

use ed25519_dalek::SigningKey;
use protocol_spec::keys::IdentityKey;

use super::*;
use crate::{
    config::Config,
    http::{memory::BodyMemory, prefix::Origin},
};

const KIB: usize = 1 << 10;

fn origin(address: &str) -> Origin {
    address.parse::<IpAddr>().unwrap().into()
}

/// 64 KiB for bodies of strangers, 8 KiB for each address. Nobody is refused for having waited for too long.
fn limits() -> ClientLimits {
    let registrar = SigningKey::from_bytes(&[3; 32]).verifying_key();
    let registrar = IdentityKey::try_from(registrar.as_bytes().as_slice()).unwrap();
    let registrar = registrar.to_text("regkey");
    let args = ["vault-server", "--data", "d", "--registrar", &registrar, "--dev"];
    ClientLimits {
        unsigned_memory: 64 * KIB,
        address_memory: 8 * KIB,
        queue_timeout: Duration::from_secs(3600),
        reclaim_after: Duration::from_millis(1),
        ..Config::from_args(args).unwrap().limits
    }
}

/// API-16, ATK-76: one network has nearly all memory, for bodies that wait for more of it. Two of them make room for another network's.
#[tokio::test]
async fn bodies_that_wait_for_more_memory_give_back_what_they_have() {
    let limits = limits();
    let memory = BodyMemory::new(&limits);
    let rest = memory
        .reserve_unsigned(origin("198.51.100.1"), 4 << 10)
        .await
        .unwrap();
    let mut greedy = Vec::new();
    for number in 1..=15 {
        let from = origin(&format!("192.0.2.{number}"));
        let mut share = memory.reserve_unsigned(from, 4 << 10).await.unwrap();
        let body = PacedBody::new(Body::from(vec![0_u8; 4 * KIB]), &limits, share.watch());
        greedy.push(tokio::spawn(async move {
            let read = collect(body, (0, 8 * KIB), Some((&mut share, 4 * KIB))).await;
            drop(share);
            read.map_err(|refusal| refusal.problem)
        }));
    }
    let other = memory.reserve_unsigned(origin("203.0.113.1"), 8 << 10);
    let other = tokio::time::timeout(Duration::from_secs(30), other).await;
    assert!(
        other.is_ok_and(|share| share.is_ok()),
        "it waits for bodies that wait"
    );
    let mut refused = 0;
    for body in greedy {
        if body.is_finished() {
            assert_eq!(body.await.unwrap(), Err(Problem::Unavailable));
            refused += 1;
        } else {
            body.abort();
        }
    }
    assert_eq!(refused, 2);
    drop(rest);
}
