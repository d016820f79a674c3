//! libFuzzer's program: `ENFORCER_FUZZ_TARGET` says which target it runs. Everything else is libFuzzer's own command line.

#![no_main]

use std::sync::OnceLock;

use enforcer_fuzz::limits::Meter;
use enforcer_fuzz::{Target, target};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static METER: Meter = Meter;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("ENFORCER_FUZZ_TARGET").unwrap_or_default();
        let Some(target) = target(&name) else {
            eprintln!("ENFORCER_FUZZ_TARGET is `{name}`, which is no target");
            std::process::exit(2);
        };
        target.prepare();
        _ = TARGET.set(target);
    },
    |input: &[u8]| {
        if let Some(target) = TARGET.get() {
            target.run(input);
        }
    }
);
