//! Signals by name, as SSH writes them (without `SIG`).

use russh::Sig;
use rustix::process::Signal;

const NAMES: [(&str, Signal); 14] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("STOP", Signal::STOP),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// The signal that a client asks for.
pub(super) fn from_client(asked: &Sig) -> Option<Signal> {
    let name = match asked {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    };
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, signal)| *signal)
}

/// What a client is told about a command that died of signal `number`.
pub(super) fn for_client(number: i32) -> Sig {
    let name = NAMES.iter().find(|(_, signal)| signal.as_raw() == number).map(|(name, _)| *name);
    // As OpenSSH names those that the RFC does not list.
    name.map_or_else(|| Sig::Custom("SIG@openssh.com".into()), by_name)
}

/// A signal under its own name.
pub(super) fn by_name(name: &str) -> Sig {
    match name {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        other => Sig::Custom(other.into()),
    }
}
