use std::net::IpAddr;

use super::*;

fn origin(text: &str) -> Origin {
    text.parse::<IpAddr>().unwrap().into()
}

/// Serves a place as a connection's task does: until it is told to go.
fn serve(place: ConnectionPlace) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { place.activity().close().clone().cancelled_owned().await })
}

/// API-14
#[tokio::test]
async fn whoever_comes_takes_the_place_of_who_has_more() {
    let places = Places::new(4);
    let mut greedy = Vec::new();
    for _ in 0..4 {
        greedy.push(serve(places.take(origin("192.0.2.1")).await.unwrap()));
    }
    let first = places.take(origin("198.51.100.1")).await;
    // Two of two networks each: nobody has more.
    let second = places.take(origin("198.51.100.2")).await;
    assert!(first.is_some() && second.is_some());
    assert!(places.take(origin("198.51.100.3")).await.is_none());
    tokio::task::yield_now().await;
    assert_eq!(greedy.iter().filter(|task| task.is_finished()).count(), 2);
    for task in greedy {
        task.abort();
    }
}

/// API-14, ATK-78: one address has nearly all places, and ten connections of a hospital, which has far fewer, come at once.
#[tokio::test]
async fn whoever_has_less_gets_in_however_many_come_at_once() {
    let places = Places::new(1024);
    let (greedy, hospital) = (origin("203.0.113.1"), origin("192.0.2.1"));
    let mut tasks = Vec::new();
    for (from, count) in [(greedy, 1000), (hospital, 24)] {
        for _ in 0..count {
            tasks.push(serve(places.take(from).await.unwrap()));
        }
    }
    for number in 1..=10 {
        let place = places.take(hospital).await;
        tasks.push(serve(place.unwrap_or_else(|| panic!("no. {number}"))));
    }
    tokio::task::yield_now().await;
    assert_eq!(tasks.iter().filter(|task| task.is_finished()).count(), 10);
    for task in tasks {
        task.abort();
    }
}

/// API-14: 256 subscribers of one network have all places, and each of them wants more.
#[tokio::test]
async fn many_addresses_of_one_network_have_no_more_for_it() {
    let places = Places::new(1024);
    let mut tasks = Vec::new();
    for number in 0..1024 {
        let near = origin(&format!("2001:db8:0:{:x}00::1", number % 256));
        tasks.push(serve(places.take(near).await.unwrap()));
    }
    for _ in 0..100 {
        let far = places.take(origin("2001:db8:1::1")).await;
        tasks.push(serve(far.unwrap()));
    }
    // All have four, or three after those that went.
    let near = origin("2001:db8:0:ff00::1");
    assert!(places.lock().displaced(near, 0).is_none());
    for task in tasks {
        task.abort();
    }
}

#[tokio::test]
async fn within_a_network_it_is_between_its_subscribers() {
    let places = Places::new(3);
    let tasks: Vec<_> = [
        places.take(origin("192.0.2.1")).await.unwrap(),
        places.take(origin("192.0.2.1")).await.unwrap(),
        places.take(origin("192.0.2.1")).await.unwrap(),
    ]
    .map(serve)
    .into();
    let neighbour = places.take(origin("192.0.2.2")).await;
    assert!(neighbour.is_some());
    tokio::task::yield_now().await;
    assert_eq!(tasks.iter().filter(|task| task.is_finished()).count(), 1);
    for task in tasks {
        task.abort();
    }
}

#[tokio::test]
async fn who_does_least_goes_first() {
    let (places, from) = (Places::new(4), origin("192.0.2.1"));
    let (busy, idle, new, other) = (
        places.take(from).await.unwrap(),
        places.take(from).await.unwrap(),
        places.take(from).await.unwrap(),
        places.take(from).await.unwrap(),
    );
    let mut running = Vec::new();
    for place in [&busy, &other] {
        place.activity().established();
        running.push(place.activity().begin());
    }
    idle.activity().established();
    let displace = || places.lock().displaced(origin("198.51.100.1"), 0);
    for goes in [&new, &idle, &busy] {
        displace().unwrap().cancel();
        assert!(goes.activity().close().is_cancelled());
    }
    assert!(displace().is_none(), "one is no more than he would have");
    assert!(busy.activity().idle().is_none());
    running.clear();
    assert!(busy.activity().idle().is_some());
}

/// Of a comer's own: what has been idle for a while, and never what is busy.
#[tokio::test]
async fn what_does_nothing_gives_way_to_another_of_its_subscriber() {
    let (places, from) = (Places::new(2), origin("192.0.2.1"));
    let (busy, idle) = (places.take(from).await.unwrap(), places.take(from).await.unwrap());
    busy.activity().established();
    let running = busy.activity().begin();
    idle.activity().established();
    let now = places.now();
    let displace = |now| places.lock().displaced(from, now);
    // Time may have gone by since, but not backwards.
    assert!(displace(UNUSED - 1).is_none());
    displace(now + UNUSED).unwrap().cancel();
    assert!(idle.activity().close().is_cancelled());
    assert!(displace(now + 9 * UNUSED).is_none());
    drop(running);
    displace(places.now() + UNUSED).unwrap().cancel();
    assert!(busy.activity().close().is_cancelled());
}
