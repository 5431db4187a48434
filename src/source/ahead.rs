//! The threads that decode ahead.
//!
//! A task is a reader and a number of pieces; the thread that gets it sends the pieces as they
//! come, none behind a full one, and then the reader itself. Tasks are finite and wait for nobody,
//! so the pool cannot stand still while somebody waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::FileReader;
use super::file_reader::Piece;
use crate::model::EventBatch;

/// What a thread sends back.
pub(super) enum Message {
    Piece(Box<Piece>),
    /// The task is done, the file is not.
    Reader(Box<FileReader>),
    /// The file is done.
    Over,
}

/// Threads that work on tasks in the order in which they were given.
pub(super) struct Pool {
    tasks: Option<Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
    /// Tasks given and not done.
    pending: Arc<Mutex<usize>>,
    stop: Arc<AtomicBool>,
}

struct Task {
    reader: Box<FileReader>,
    pieces: usize,
    chunk_bytes: usize,
    spare: Vec<EventBatch>,
    out: Sender<Message>,
}

impl Pool {
    pub fn new(threads: usize, stop: &Arc<AtomicBool>) -> Self {
        let (sender, receiver) = channel::<Task>();
        let receiver = Arc::new(Mutex::new(receiver));
        let pending = Arc::new(Mutex::new(0));
        let threads = (0..threads)
            .map(|index| {
                let (receiver, pending) = (Arc::clone(&receiver), Arc::clone(&pending));
                std::thread::Builder::new()
                    .name(format!("decode-{index}"))
                    .spawn(move || work(&receiver, &pending))
                    .expect("the system gives a few threads")
            })
            .collect();
        Pool {
            tasks: Some(sender),
            threads,
            pending,
            stop: Arc::clone(stop),
        }
    }

    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Whether another task would begin soon.
    pub fn has_room(&self) -> bool {
        *lock(&self.pending) < 2 * self.threads.len()
    }

    /// Has `pieces` pieces decoded; the reader comes back behind them.
    pub fn work(
        &mut self,
        reader: Box<FileReader>,
        pieces: usize,
        chunk_bytes: usize,
        spare: Vec<EventBatch>,
    ) -> Receiver<Message> {
        let (out, receiver) = channel();
        *lock(&self.pending) += 1;
        let task = Task {
            reader,
            pieces,
            chunk_bytes,
            spare,
            out,
        };
        let tasks = self.tasks.as_ref().expect("the pool lives");
        tasks
            .send(task)
            .expect("the threads live as long as the pool");
        receiver
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks = None;
        // A thread that waits for a pipe would keep us; the process ends anyway.
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked was already reported where its pieces were awaited.
            let _ = thread.join();
        }
    }
}

fn work(tasks: &Mutex<Receiver<Task>>, pending: &Mutex<usize>) {
    loop {
        let Ok(task) = lock(tasks).recv() else {
            return;
        };
        run(task);
        *lock(pending) -= 1;
    }
}

/// Sends fail only when nobody wants the file any more; the rest of the task is then void.
fn run(mut task: Task) {
    for _ in 0..task.pieces {
        let spare = task.spare.pop().unwrap_or_default();
        let piece = task.reader.next_piece(task.chunk_bytes, spare);
        let (is_last, is_full) = (piece.is_last, piece.is_full);
        if task.out.send(Message::Piece(Box::new(piece))).is_err() {
            return;
        }
        if is_last {
            let _ = task.out.send(Message::Over);
            return;
        }
        if is_full {
            break;
        }
    }
    let _ = task.out.send(Message::Reader(task.reader));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
