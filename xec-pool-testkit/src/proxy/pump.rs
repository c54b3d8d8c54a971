//! One direction of one connection: a reader, a queue of so many bytes, and a writer that lives by the weather.

use std::{io, num::NonZeroU32, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    select,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, sleep_until},
    try_join,
};

use super::{Direction, carry::Passage, fault::Weather};

/// The most that is read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Bytes that may be on their way while they take their time: what a link of 80 MiB a second holds at a delay of
/// 50 ms. The docs of `Fault::Latency` say so too.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// What a byte costs where there is no delay, so that a proxy that holds bytes up holds few: who sends shall feel it.
/// That leaves 256 KiB; the docs of `proxy` say so too.
const NEAR_COST: usize = 16;

/// What a piece costs beside its bytes.
const PIECE_COST: usize = 64;

/// A throttled direction moves this often a second.
const STEPS_A_SECOND: u32 = 20;

/// What was read, and when; an empty piece is the end.
struct Piece {
    arrived: Instant,
    bytes: io::Result<Vec<u8>>,
    /// Given back when it is written.
    _room: OwnedSemaphorePermit,
}

/// Moves bytes until the end of one side, and hands that end on.
pub(super) async fn pump<R, W>(from: &mut R, to: &mut W, mut way: Way<'_>) -> io::Result<()>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let (passage, direction) = (way.passage, way.direction);
    let (send, queue) = mpsc::unbounded_channel();
    let weather = way.weather.clone();
    let half_closed = select! {
        moved = async { try_join!(read(from, weather, send), way.write(to, queue)) } => moved.map(|_| false)?,
        () = passage.half_closed(direction) => true,
    };
    to.shutdown().await?;
    if half_closed {
        // The speaker must not notice.
        tokio::io::copy(from, &mut tokio::io::sink()).await?;
    }
    Ok(())
}

/// An end or an error is a piece like any other: it waits its turn and bears the weather.
async fn read<R: AsyncRead + Unpin + Send>(
    from: &mut R,
    weather: watch::Receiver<Weather>,
    queue: mpsc::UnboundedSender<Piece>,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(QUEUE_BYTES));
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let bytes = from.read(&mut buffer).await.map(|count| buffer[..count].to_vec());
        let arrived = Instant::now();
        let count = bytes.as_ref().map_or(0, Vec::len);
        let cost = if weather.borrow().has_delay() { 1 } else { NEAR_COST };
        let permits = u32::try_from(cost * (PIECE_COST + count)).expect("a piece is small");
        let room = Arc::clone(&room).acquire_many_owned(permits).await.expect("nobody closes it");
        // A writer that is gone has its own error to tell.
        if queue.send(Piece { arrived, bytes, _room: room }).is_err() || count == 0 {
            return Ok(());
        }
    }
}

/// The writer's side of a direction.
pub(super) struct Way<'a> {
    passage: &'a Passage,
    direction: Direction,
    weather: watch::Receiver<Weather>,
    passed: u64,
    /// Whether the first line is over.
    banner_over: bool,
}

/// What may be done with a piece in this weather.
enum Leave {
    Wait,
    /// So many bytes may go, and the next ones so much later.
    Pass(usize, Duration),
}

impl<'a> Way<'a> {
    pub(super) fn new(passage: &'a Passage, direction: Direction) -> Self {
        Self { passage, direction, weather: passage.line.weather(), passed: 0, banner_over: false }
    }

    async fn write<W: AsyncWrite + Unpin + Send>(
        &mut self,
        to: &mut W,
        mut queue: mpsc::UnboundedReceiver<Piece>,
    ) -> io::Result<()> {
        while let Some(Piece { arrived, bytes, _room }) = self.next(&mut queue).await {
            self.until_due(arrived).await;
            match bytes {
                Ok(bytes) if !bytes.is_empty() => self.write_piece(to, &bytes).await?,
                end => {
                    while self.leave(&[]).is_wait() {
                        self.changed().await;
                    }
                    return end.map(drop);
                }
            }
        }
        Ok(())
    }

    async fn next(&mut self, queue: &mut mpsc::UnboundedReceiver<Piece>) -> Option<Piece> {
        loop {
            self.strike_if_due();
            select! {
                piece = queue.recv() => return piece,
                () = self.changed() => {}
            }
        }
    }

    async fn write_piece<W: AsyncWrite + Unpin + Send>(&mut self, to: &mut W, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.leave(rest) {
                Leave::Wait => self.changed().await,
                Leave::Pass(count, pause) => {
                    let (now, later) = rest.split_at(count);
                    to.write_all(now).await?;
                    self.has_passed(now);
                    rest = later;
                    self.pause(pause).await;
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, rest: &[u8]) -> Leave {
        let weather = *self.weather.borrow_and_update();
        let stalls = weather.stall_after_banner && self.direction == Direction::ToClient;
        if weather.is_frozen(self.direction) || (stalls && self.banner_over) {
            return Leave::Wait;
        }
        // Asked after the weather: who has struck and then lifts a fault finds that nothing goes on. The order is a
        // wake-up like the weather's, and may be heard later.
        if self.passage.is_struck(self.direction) {
            return Leave::Wait;
        }
        let mut count = rest.len();
        if stalls {
            count = end_of_line(rest).unwrap_or(count);
        }
        if let Some((bytes, _)) = weather.strike_after(self.direction) {
            count = count.min(usize::try_from(bytes.saturating_sub(self.passed)).unwrap_or(usize::MAX));
        }
        let rate = weather.bytes_per_second.map(NonZeroU32::get);
        if let Some(rate) = rate {
            count = count.min((rate / STEPS_A_SECOND).max(1) as usize);
        }
        if count == 0 && !rest.is_empty() {
            return Leave::Wait;
        }
        Leave::Pass(count, rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(count as f64 / f64::from(rate))))
    }

    fn has_passed(&mut self, bytes: &[u8]) {
        self.passed += bytes.len() as u64;
        self.banner_over |= end_of_line(bytes).is_some();
        self.passage.line.books.passed(self.passage.id, self.direction, bytes.len());
        self.strike_if_due();
    }

    fn strike_if_due(&mut self) {
        let weather = *self.weather.borrow_and_update();
        if let Some((bytes, blow)) = weather.strike_after(self.direction)
            && self.passed >= bytes
        {
            self.passage.line.books.strike(blow, |id| id == self.passage.id);
        }
    }

    /// The jitter's share is drawn once, so that a change of weather does not draw again.
    async fn until_due(&mut self, arrived: Instant) {
        let share = fastrand::f64();
        loop {
            let weather = *self.weather.borrow_and_update();
            let due = arrived + weather.delay + weather.jitter.mul_f64(share);
            if due <= Instant::now() {
                return;
            }
            select! {
                () = sleep_until(due) => {}
                () = self.changed() => {}
            }
        }
    }

    /// Ends early with a change of weather, which may have ended the throttle.
    async fn pause(&mut self, pause: Duration) {
        if !pause.is_zero() {
            select! {
                () = tokio::time::sleep(pause) => {}
                () = self.changed() => {}
            }
        }
    }

    async fn changed(&mut self) {
        // The line holds the sender as long as we are.
        let _ = self.weather.changed().await;
    }
}

impl Leave {
    fn is_wait(&self) -> bool {
        matches!(self, Self::Wait)
    }
}

fn end_of_line(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n').map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use tokio::task::unconstrained;

    use super::*;
    use crate::proxy::Fault;

    /// So many bytes are taken from a sender who never ends, while nothing is handed on.
    async fn taken(fault: Fault) -> usize {
        let (_line, weather) = watch::channel(Weather::of([fault]));
        let (send, mut queue) = mpsc::unbounded_channel();
        let mut endless = tokio::io::repeat(7);
        let reading = unconstrained(read(&mut endless, weather, send));
        assert!(tokio::time::timeout(Duration::ZERO, reading).await.is_err(), "it stops");
        let mut taken = 0;
        while let Ok(piece) = queue.try_recv() {
            taken += piece.bytes.expect("bytes").len();
        }
        taken
    }

    #[tokio::test]
    async fn who_sends_into_a_frozen_direction_is_stopped_soon_and_a_delay_holds_more() {
        let held_up = [Fault::Freeze(Direction::ToServer), Fault::BlackHole, Fault::StallAfterBanner];
        for fault in held_up {
            assert!(taken(fault).await <= 256 * 1024, "{fault:?}");
        }
        let delay = Duration::from_secs(1);
        let late = taken(Fault::Latency { delay, jitter: Duration::ZERO }).await;
        assert!((3_000_000..=QUEUE_BYTES).contains(&late), "{late}");
    }
}
