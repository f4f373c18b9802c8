use std::future::poll_fn;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream as Far;
use std::task::Poll;

use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::*;

/// A tunnel's two streams, and the far ends of both, which do not wait.
async fn tunnel() -> ([TcpStream; 2], [Far; 2]) {
    let mut near = Vec::new();
    let mut far = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        near.push(accepted.unwrap().0);
        far.push(stream.unwrap().into_std().unwrap());
    }
    (near.try_into().unwrap(), far.try_into().unwrap())
}

/// A tunnel that rides, for this task.
async fn riding() -> (Rider, [Far; 2]) {
    let (near, far) = tunnel().await;
    (ride(near).await, far)
}

async fn ride(near: [TcpStream; 2]) -> Rider {
    let mut near = Some(near);
    let rider = poll_fn(|cx| match board(near.take().unwrap(), cx.waker()) {
        Boarded::Rides(rider) => Poll::Ready(rider),
        Boarded::Stays(_) | Boarded::Lost => panic!("no ring: does the kernel allow io_uring?"),
    });
    rider.await
}

/// Wait until it is off, of itself or because it is told.
async fn off(rider: &mut Rider, told: bool) -> Landed {
    let mut told = told;
    poll_fn(|_| {
        if !mem::replace(&mut told, true) {
            return Poll::Pending;
        }
        match rider.leave() {
            Leaving::Landed(landed) => Poll::Ready(*landed),
            Leaving::Soon => Poll::Pending,
            Leaving::Lost => panic!("the ring is gone"),
        }
    })
    .await
}

/// Read so many bytes at a far end.
async fn read(from: &mut Far, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match from.read(&mut read[filled..]) {
            Ok(0) => panic!("ended after {filled} bytes of {bytes}"),
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::task::yield_now().await,
            Err(error) => panic!("{error} after {filled} bytes of {bytes}"),
        }
    }
    read
}

/// On a worker, which has one thread.
fn run(test: impl Future<Output = ()>) {
    if std::env::var_os("TIDEGATE_TEST_NO_IO_URING").is_some() {
        return;
    }
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn noise(seed: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| ((i * 31 + seed * 17) % 251) as u8).collect()
}

#[test]
fn what_comes_goes_on_both_ways_and_in_order() {
    run(async {
        let (mut rider, [mut client, mut upstream]) = riding().await;
        let mut sent = 0;
        for round in 0..300 {
            let message = noise(round, 1 + round * 6);
            client.write_all(&message).unwrap();
            assert_eq!(read(&mut upstream, message.len()).await, message, "round {round}, up");
            upstream.write_all(&message).unwrap();
            assert_eq!(read(&mut client, message.len()).await, message, "round {round}, down");
            sent += message.len() as u64;
        }
        assert!(matches!(rider.leave(), Leaving::Soon), "it rode to here");
        let landed = off(&mut rider, true).await;
        for way in landed.ways {
            assert_eq!((way.moved, way.rest.len(), way.failed), (sent, 0, false));
        }
    });
}

#[test]
fn what_comes_at_once_and_in_pieces_is_in_order() {
    run(async {
        let (rider, [mut client, mut upstream]) = riding().await;
        for round in 0..50 {
            let message = noise(round, 700);
            for piece in message.chunks(100) {
                client.write_all(piece).unwrap();
            }
            assert_eq!(read(&mut upstream, message.len()).await, message, "round {round}");
        }
        drop(rider);
    });
}

#[test]
fn an_end_has_it_get_off_and_is_there_to_be_read() {
    run(async {
        let (mut rider, [mut client, mut upstream]) = riding().await;
        client.write_all(b"last words").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let landed = off(&mut rider, false).await;
        let [up, down] = landed.ways;
        assert_eq!((up.moved + up.rest.len() as u64, up.failed), (10, false));
        assert_eq!((down.moved, down.failed), (0, false));
        assert_eq!(read(&mut upstream, up.moved as usize).await, b"last words"[..up.moved as usize]);
        let [mut near, _] = landed.streams;
        assert_eq!(near.read(&mut [0; 9]).unwrap(), 0);
    });
}

#[test]
fn a_reset_is_told_of() {
    run(async {
        let (mut rider, [client, upstream]) = riding().await;
        SockRef::from(&upstream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(upstream);
        let landed = off(&mut rider, false).await;
        assert_eq!(landed.ways.map(|way| way.failed), [false, true]);
        drop(client);
    });
}

#[test]
fn what_is_large_gets_off_with_nothing_lost() {
    run(async {
        let (mut rider, [mut client, mut upstream]) = riding().await;
        let large = noise(1, SIZE * 20 + 7);
        client.write_all(&large).unwrap();
        let landed = off(&mut rider, false).await;
        let [up, _] = landed.ways;
        let mut got = read(&mut upstream, up.moved as usize).await;
        got.extend(&up.rest);
        let [mut near, _] = landed.streams;
        let mut left = vec![0; large.len() - got.len()];
        near.set_nonblocking(false).unwrap();
        near.read_exact(&mut left).unwrap();
        got.extend(left);
        assert!(got == large, "other bytes");
    });
}

#[test]
fn a_side_that_is_full_has_it_get_off_with_nothing_lost() {
    run(async {
        let (near, [mut client, mut upstream]) = tunnel().await;
        SockRef::from(&near[1]).set_send_buffer_size(8 << 10).unwrap();
        SockRef::from(&upstream).set_recv_buffer_size(8 << 10).unwrap();
        let mut rider = ride(near).await;
        let message = noise(2, 100);
        let mut sent = 0;
        // Nobody reads, until the tunnel is off.
        while !is_off(&rider) {
            sent += client.write(&message).unwrap_or(0);
            tokio::task::yield_now().await;
        }
        let landed = off(&mut rider, true).await;
        assert!(sent > 8 << 10, "off after {sent} bytes");
        let [up, _] = landed.ways;
        assert!(!up.rest.is_empty());
        let mut got = read(&mut upstream, up.moved as usize).await;
        got.extend(&up.rest);
        let [mut near, _] = landed.streams;
        client.shutdown(std::net::Shutdown::Write).unwrap();
        near.set_nonblocking(false).unwrap();
        near.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), sent);
        assert!(got.chunks(100).all(|chunk| chunk == message), "other bytes");
    });
}

fn is_off(rider: &Rider) -> bool {
    with_lane(|state, _| {
        let State::Open(lane) = state else { panic!("the ring is gone") };
        matches!(lane.places[rider.place.unwrap() as usize], Place::Landed(_))
    })
}

#[test]
fn getting_off_and_on_while_messages_come_loses_nothing() {
    run(async {
        const PIECES: usize = 20_000;
        let (mut near, [mut client, mut upstream]) = tunnel().await;
        client.set_nonblocking(false).unwrap();
        upstream.set_nonblocking(false).unwrap();
        let sending = std::thread::spawn(move || {
            for piece in 0..PIECES {
                client.write_all(&noise(piece, 1 + piece % 40)).unwrap();
            }
            client
        });
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            upstream.read_to_end(&mut all).unwrap();
            all
        });
        let mut rounds = 0;
        let mut delivered = 0;
        while !sending.is_finished() {
            let mut rider = ride(near).await;
            for _ in 0..rounds % 7 {
                tokio::task::yield_now().await;
            }
            let landed = off(&mut rider, true).await;
            let [up, _] = landed.ways;
            near = landed.streams.map(|stream| TcpStream::from_std(stream).unwrap());
            near[1].write_all(&up.rest).await.unwrap();
            delivered += up.moved;
            rounds += 1;
        }
        let client = sending.join().unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let [mut from, mut to] = near;
        tokio::io::copy(&mut from, &mut to).await.unwrap();
        drop(to);
        let all = reading.join().unwrap();
        let expected: Vec<u8> = (0..PIECES).flat_map(|piece| noise(piece, 1 + piece % 40)).collect();
        assert!(all == expected, "{} bytes of {}, or others", all.len(), expected.len());
        assert!(rounds > 10 && delivered > 0, "{rounds} rounds, {delivered} bytes on the ring");
    });
}

#[test]
fn one_that_nobody_waits_for_ends() {
    run(async {
        let (rider, [mut client, mut upstream]) = riding().await;
        drop(rider);
        for far in [&mut client, &mut upstream] {
            let end = loop {
                match far.read(&mut [0; 1]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::task::yield_now().await,
                    other => break other,
                }
            };
            assert_eq!(end.unwrap(), 0);
        }
    });
}

#[test]
fn places_are_used_again_and_each_tunnel_keeps_its_own() {
    run(async {
        let (mut first, first_far) = riding().await;
        let (second, [mut client, mut upstream]) = riding().await;
        off(&mut first, true).await;
        drop((first, first_far));
        let (third, [mut client3, mut upstream3]) = riding().await;
        client.write_all(b"two").unwrap();
        client3.write_all(b"three").unwrap();
        assert_eq!(read(&mut upstream, 3).await, b"two");
        assert_eq!(read(&mut upstream3, 5).await, b"three");
        assert_eq!((second.place, third.place), (Some(1), Some(0)));
    });
}

#[test]
fn more_tunnels_than_buffers_lose_nothing() {
    run(async {
        let mut tunnels = Vec::new();
        for _ in 0..700 {
            tunnels.push(riding().await);
        }
        for (number, (_, [client, _])) in tunnels.iter_mut().enumerate() {
            client.write_all(&noise(number, 500)).unwrap();
        }
        for (number, (rider, [_, upstream])) in tunnels.iter_mut().enumerate() {
            assert_eq!(read(upstream, 500).await, noise(number, 500), "tunnel {number}");
            assert!(matches!(rider.leave(), Leaving::Soon), "tunnel {number} rode to here");
        }
    });
}

#[test]
fn where_rings_are_not_allowed_everything_stays() {
    run(async {
        allow(false);
        let (near, [mut client, _upstream]) = tunnel().await;
        let mut near = Some(near);
        let stays = poll_fn(|cx| match board(near.take().unwrap(), cx.waker()) {
            Boarded::Stays(streams) => Poll::Ready(streams),
            Boarded::Rides(_) | Boarded::Lost => panic!("it rides"),
        });
        let [near, _] = stays.await;
        client.write_all(b"hello").unwrap();
        near.readable().await.unwrap();
        assert_eq!(near.try_read(&mut [0; 9]).unwrap(), 5);
    });
}
