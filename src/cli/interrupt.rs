//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{CliError, Exit};

/// Whether, and by what, the process was asked to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    pub stop: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Takes over both signals for the rest of the process.
    pub fn install() -> Result<Self, CliError> {
        let interrupt = Interrupt::default();
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            interrupt
                .register(signal, exit)
                .map_err(|error| CliError::Failure(format!("cannot watch for signals: {error}")))?;
        }
        Ok(interrupt)
    }

    /// The exit code that the signal asks for, once there was one.
    pub fn exit(&self) -> Option<Exit> {
        match self.signal.load(Ordering::SeqCst) as i32 {
            0 => None,
            SIGTERM => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }

    /// What people call the signal.
    pub fn name(&self) -> Option<&'static str> {
        Some(match self.exit()? {
            Exit::Terminated => "SIGTERM",
            _ => "Ctrl-C",
        })
    }

    /// Handlers run in the order of registration: the shutdown looks at the flag before the
    /// same signal sets it.
    fn register(&self, signal: i32, exit: Exit) -> std::io::Result<()> {
        let code = i32::from(exit.code());
        flag::register_conditional_shutdown(signal, code, Arc::clone(&self.stop))?;
        flag::register_usize(signal, Arc::clone(&self.signal), signal as usize)?;
        flag::register(signal, Arc::clone(&self.stop))?;
        Ok(())
    }
}
