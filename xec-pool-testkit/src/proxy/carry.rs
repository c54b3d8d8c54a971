//! From a client at the door to two streams, and how both end.

use std::{future::poll_fn, sync::Arc, time::Duration};

use tokio::{net::TcpStream, select, sync::watch, task::JoinSet, try_join};

use super::{
    Direction,
    books::{End, Orders},
    line::Line,
    pump::{self, Way},
};

/// When accepting fails (no file descriptor left), the next try is this much later.
const BREATH: Duration = Duration::from_millis(10);

/// Takes clients until it is aborted. The connections end with it: the set aborts what it holds.
pub(super) async fn accept(line: Arc<Line>) {
    let mut weather = line.weather();
    let mut carried = JoinSet::new();
    loop {
        select! {
            came = poll_fn(|cx| line.door.poll_accept(cx)) => match came {
                Ok((client, from)) => {
                    let (id, orders) = line.books.came(from);
                    carried.spawn(carry(client, Passage { line: Arc::clone(&line), id, orders }));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            // The door may be another one now.
            _ = weather.changed() => {}
            Some(_) = carried.join_next() => {}
        }
    }
}

/// A connection's place in the books. Dropping it closes the entry.
pub(super) struct Passage {
    pub(super) line: Arc<Line>,
    pub(super) id: u64,
    pub(super) orders: watch::Receiver<Orders>,
}

impl Passage {
    /// Completes when it has been told to end, and says how.
    async fn ended(&self) -> End {
        let mut orders = self.orders.clone();
        let told = orders.wait_for(|orders| orders.end.is_some()).await;
        told.map_or(End::Close, |orders| orders.end.expect("waited for"))
    }

    /// Whether this direction has been told to end, by itself or with all.
    pub(super) fn is_struck(&self, direction: Direction) -> bool {
        let orders = self.orders.borrow();
        orders.end.is_some() || orders.half_closed[direction as usize]
    }

    /// Completes when this direction has been told to end.
    pub(super) async fn half_closed(&self, direction: Direction) {
        let mut orders = self.orders.clone();
        // An error would say that the entry is closed, which it is only when we are dropped.
        let _ = orders.wait_for(|orders| orders.half_closed[direction as usize]).await;
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.line.books.went(self.id);
    }
}

async fn carry(mut client: TcpStream, passage: Passage) {
    let mut server = None;
    let end = select! {
        end = passage.ended() => end,
        end = forward(&mut client, &mut server, &passage) => end,
    };
    if end == End::Reset {
        for stream in [Some(&client), server.as_ref()].into_iter().flatten() {
            let _ = stream.set_zero_linger();
        }
    }
    // Before the books say so.
    drop((client, server));
    drop(passage);
}

/// Carries bytes both ways to the end. An error at one side is a reset at the other.
async fn forward(client: &mut TcpStream, server: &mut Option<TcpStream>, passage: &Passage) -> End {
    let mut weather = passage.line.weather();
    let _ = weather.wait_for(|weather| !weather.black_hole).await;
    if passage.orders.borrow().end.is_some() {
        // Struck while it was held up, and the weather was heard first.
        return std::future::pending().await;
    }
    let Ok(stream) = TcpStream::connect(passage.line.server()).await else {
        passage.line.books.unreachable();
        return End::Reset;
    };
    let server = server.insert(stream);
    // Pieces go on as they came: waiting for more would be a delay that nobody asked for.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = pump::pump(&mut from_client, &mut to_server, Way::new(passage, Direction::ToServer));
    let down = pump::pump(&mut from_server, &mut to_client, Way::new(passage, Direction::ToClient));
    match try_join!(up, down) {
        Ok(_) => End::Close,
        Err(_) => End::Reset,
    }
}
