//! Many files as streams of pieces, decoded ahead by threads.
//!
//! Files that continue each other form a stream and are read one after the other. Threads only
//! decode ahead: pieces come out of a stream in its order, whoever decoded them, so their number
//! never changes what comes out. No thread ever waits for another file's turn, so none can be
//! missing when it is needed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::ahead::{Message, Pool};
use super::file_reader::Piece;
use super::{FileReader, InputFile, ReadPlan};
use crate::ingest::stream_name;
use crate::model::EventBatch;

/// Bytes that the first pieces of all streams may take together, roughly.
const FIRST_PIECES_BYTES: usize = 256 << 20;
/// Smallest chunk when there are very many streams.
const CHUNK_BYTES_MIN: usize = 4 << 10;
/// Pieces decoded ahead of the reader, over all streams.
const PIECES_AHEAD: usize = 8;
/// A used batch that takes more is not kept for another use.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// How long to wait for a thread before looking whether to stop.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// How streams are to be read.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    pub chunk_bytes: usize,
    pub open_files_max: usize,
    /// Threads in all; one means that nothing is decoded ahead.
    pub threads: usize,
    /// Set from outside when reading shall end at once.
    pub stop: Arc<AtomicBool>,
}

/// Some of a stream, with the file it is from.
pub struct StreamPiece {
    pub file: Arc<str>,
    pub piece: Piece,
}

/// All streams of one run, in the order of their names.
pub struct Streams {
    streams: Vec<Stream>,
    plan: Arc<ReadPlan>,
    chunk_bytes: usize,
    open_files_max: usize,
    pool: Option<Pool>,
    stop: Arc<AtomicBool>,
    /// Streams that may hold a file open, each once, in the order of their opening.
    opened: VecDeque<u32>,
    spare: Vec<EventBatch>,
}

struct Stream {
    /// Files not begun, in order.
    waiting: VecDeque<InputFile>,
    /// The file being read, then those that are decoded ahead.
    begun: VecDeque<Begun>,
    /// Stands in [`Streams::opened`].
    is_opened: bool,
}

struct Begun {
    file: Arc<str>,
    ready: VecDeque<Piece>,
    place: Place,
}

enum Place {
    Here(Box<FileReader>),
    /// With a thread of the pool, which sends pieces and then the reader.
    Away(Receiver<Message>),
    Over,
}

impl Streams {
    pub fn new(files: Vec<InputFile>, plan: ReadPlan, settings: &StreamSettings) -> Self {
        // A pipe is always read by a thread of its own, so that waiting for it holds up nothing.
        let live = files.iter().filter(|file| file.is_live()).count();
        let threads = settings.threads.max(1) + live;
        let streams = group(files);
        let share = FIRST_PIECES_BYTES / streams.len().max(1);
        Streams {
            chunk_bytes: settings.chunk_bytes.min(share.max(CHUNK_BYTES_MIN)),
            open_files_max: settings.open_files_max,
            pool: (threads > 1).then(|| Pool::new(threads - 1, &settings.stop)),
            stop: Arc::clone(&settings.stop),
            plan: Arc::new(plan),
            streams,
            opened: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.streams.len()
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Takes back a used batch for its memory.
    pub fn recycle(&mut self, batch: EventBatch) {
        let is_small = batch.memory_bytes() <= SPARE_BYTES_MAX;
        if is_small && self.spare.len() < 2 * PIECES_AHEAD {
            self.spare.push(batch);
        }
    }

    /// The next piece of a stream; `None` at its end, and when stopped from outside.
    pub fn next_piece(&mut self, stream: u32) -> Option<StreamPiece> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            self.begin(stream);
            let front = self.streams[stream as usize].begun.front_mut()?;
            front.take_in();
            if let Some(piece) = front.ready.pop_front() {
                let file = Arc::clone(&front.file);
                if piece.is_last {
                    self.streams[stream as usize].begun.pop_front();
                }
                self.decode_ahead(stream);
                self.close_some(stream);
                return Some(StreamPiece { file, piece });
            }
            match std::mem::replace(&mut front.place, Place::Over) {
                Place::Here(reader) if reader.is_live() => {
                    let pool = self.pool.as_mut().expect("live input brings a pool");
                    let receiver = pool.work(reader, 1, self.chunk_bytes, Vec::new());
                    front.place = Place::Away(receiver);
                }
                Place::Here(mut reader) => {
                    let spare = self.spare.pop().unwrap_or_default();
                    let piece = reader.next_piece(self.chunk_bytes, spare);
                    front.return_from_work(reader, piece);
                }
                Place::Away(receiver) => front.wait(receiver),
                Place::Over => unreachable!("a file that is over leaves with its last piece"),
            }
        }
    }

    /// Makes sure that a stream that has files left has one begun, and is known to hold it open.
    fn begin(&mut self, stream: u32) {
        let this = &mut self.streams[stream as usize];
        if this.begun.is_empty()
            && let Some(file) = this.waiting.pop_front()
        {
            this.begun.push_back(Begun::new(file, &self.plan));
        }
        if !this.begun.is_empty() && !this.is_opened {
            this.is_opened = true;
            self.opened.push_back(stream);
        }
    }

    /// Hands readers of this stream to idle threads.
    fn decode_ahead(&mut self, stream: u32) {
        let Some(pool) = &mut self.pool else {
            return;
        };
        let many = self.streams.len() > pool.threads();
        let burst = if many { 1 } else { PIECES_AHEAD };
        let this = &mut self.streams[stream as usize];
        let files_ahead = if many { 1 } else { 1 + pool.threads() };
        while this.begun.len() < files_ahead
            && let Some(file) = this.waiting.pop_front()
        {
            this.begun.push_back(Begun::new(file, &self.plan));
        }
        for begun in &mut this.begun {
            begun.take_in();
            let has_much = begun.ready.len() > burst / 2 || begun.ready.iter().any(|p| p.is_full);
            if has_much || !pool.has_room() {
                continue;
            }
            if let Place::Here(_) = begun.place
                && let Place::Here(reader) = std::mem::replace(&mut begun.place, Place::Over)
            {
                let spare = self.spare.len().min(burst);
                let spare = self.spare.split_off(self.spare.len() - spare);
                let receiver = pool.work(reader, burst, self.chunk_bytes, spare);
                begun.place = Place::Away(receiver);
            }
        }
    }

    /// Closes the files of the streams that opened theirs longest ago while too many are open.
    fn close_some(&mut self, current: u32) {
        // Each stream stands here once, so one look at each is enough.
        for _ in 0..self.opened.len() {
            if self.opened.len() <= self.open_files_max {
                return;
            }
            let Some(stream) = self.opened.pop_front() else {
                return;
            };
            let this = &mut self.streams[stream as usize];
            // A reader that is with a thread comes back open and is closed another time.
            this.begun.iter_mut().for_each(Begun::take_in);
            if stream == current || this.begun.iter().any(Begun::is_away) {
                self.opened.push_back(stream);
                continue;
            }
            this.is_opened = false;
            for begun in &mut this.begun {
                if let Place::Here(reader) = &mut begun.place {
                    reader.close_for_now();
                }
            }
        }
    }
}

impl Begun {
    fn new(file: InputFile, plan: &Arc<ReadPlan>) -> Self {
        Begun {
            file: file.name().into(),
            ready: VecDeque::new(),
            place: Place::Here(Box::new(FileReader::new(file, Arc::clone(plan)))),
        }
    }

    fn is_away(&self) -> bool {
        matches!(self.place, Place::Away(_))
    }

    /// Takes in what a thread has sent so far.
    fn take_in(&mut self) {
        while let Place::Away(receiver) = &self.place {
            match receiver.try_recv() {
                Ok(message) => self.accept(message),
                Err(_) => return,
            }
        }
    }

    /// Waits for one message of the thread that has the reader, for a while.
    fn wait(&mut self, receiver: Receiver<Message>) {
        let message = receiver.recv_timeout(STOP_CHECK);
        self.place = Place::Away(receiver);
        match message {
            Ok(message) => self.accept(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                panic!("decoding {} ended in a panic", self.file)
            }
        }
    }

    fn accept(&mut self, message: Message) {
        match message {
            Message::Piece(piece) => self.ready.push_back(*piece),
            Message::Reader(reader) => self.place = Place::Here(reader),
            Message::Over => self.place = Place::Over,
        }
    }

    fn return_from_work(&mut self, reader: Box<FileReader>, piece: Piece) {
        if !piece.is_last {
            self.place = Place::Here(reader);
        }
        self.ready.push_back(piece);
    }
}

/// Groups sorted files into streams; a stream's place is that of its name.
fn group(files: Vec<InputFile>) -> Vec<Stream> {
    let mut named: Vec<(String, InputFile)> = files
        .into_iter()
        .map(|file| (stream_name(&file.name()).to_string(), file))
        .collect();
    named.sort();
    let mut streams: Vec<Stream> = Vec::new();
    let mut last: Option<String> = None;
    for (name, file) in named {
        if last.as_ref() != Some(&name) {
            streams.push(Stream {
                waiting: VecDeque::new(),
                begun: VecDeque::new(),
                is_opened: false,
            });
            last = Some(name);
        }
        let stream = streams.last_mut().expect("one was just pushed");
        stream.waiting.push_back(file);
    }
    streams
}
