//! What became of every event pushed into ingest: each ends in exactly one counter.

/// Events by what became of them; [`Self::total`] is the number of events pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestCounts {
    /// Counted in time.
    pub counted: u64,
    /// Counted, but older than the source's highest event time less the lateness.
    pub late: u64,
    /// Counted, but behind an advance that was not made by events.
    pub late_idle: u64,
    /// Not counted: older than the window.
    pub too_late: u64,
    /// Not counted: its (account, event id) was seen within the deduplication horizon.
    pub duplicate: u64,
    /// Not counted: a successful read call, with read calls off.
    pub read_call: u64,
    /// Not counted: a data event, with data events off.
    pub data_off: u64,
    /// Not counted: the selectors do not pass it.
    pub not_selected: u64,
    /// Not counted: its event type is excluded.
    pub event_type_excluded: u64,
    /// Not counted: `UPDATED_DATA`, which reports an event again.
    pub update: u64,
    /// Not counted: an Insights record.
    pub insight: u64,
    /// Not counted: an aggregate of other events.
    pub aggregated: u64,
    /// Not counted: a network activity event.
    pub network_activity: u64,
    /// Not counted: a category the engine does not know.
    pub other_category: u64,
    /// What limits did; events here are counted above as well.
    pub limits: CountedLimits,
}

/// What limits did. None of them loses a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedLimits {
    /// Event ids forgotten before their horizon because too many were remembered.
    pub ids_forgotten: u64,
    /// Batches sent before their minute closed because too much was pending.
    pub early_flushes: u64,
}

/// How much ingest remembers at one moment. The parts that are pending are sums over minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestSizes {
    pub event_ids: usize,
    pub pending_minutes: usize,
    pub pending_series: usize,
    pub pending_values: usize,
    /// Calls, errors and resources.
    pub pending_rows: usize,
    /// Memory that pending counts take, roughly.
    pub pending_bytes: usize,
}

impl IngestCounts {
    /// Every counter with its name, in the order of the fields; they add up to [`Self::total`].
    pub fn by_name(&self) -> [(&'static str, u64); 14] {
        [
            ("counted", self.counted),
            ("late", self.late),
            ("late_idle", self.late_idle),
            ("too_late", self.too_late),
            ("duplicate", self.duplicate),
            ("read_call", self.read_call),
            ("data_off", self.data_off),
            ("not_selected", self.not_selected),
            ("event_type_excluded", self.event_type_excluded),
            ("update", self.update),
            ("insight", self.insight),
            ("aggregated", self.aggregated),
            ("network_activity", self.network_activity),
            ("other_category", self.other_category),
        ]
    }

    /// Adds the counts of another source.
    pub fn add(&mut self, other: &IngestCounts) {
        self.counted += other.counted;
        self.late += other.late;
        self.late_idle += other.late_idle;
        self.too_late += other.too_late;
        self.duplicate += other.duplicate;
        self.read_call += other.read_call;
        self.data_off += other.data_off;
        self.not_selected += other.not_selected;
        self.event_type_excluded += other.event_type_excluded;
        self.update += other.update;
        self.insight += other.insight;
        self.aggregated += other.aggregated;
        self.network_activity += other.network_activity;
        self.other_category += other.other_category;
        self.limits.ids_forgotten += other.limits.ids_forgotten;
        self.limits.early_flushes += other.limits.early_flushes;
    }

    pub fn total(&self) -> u64 {
        self.by_name().iter().map(|(_, count)| count).sum()
    }
}
