//! `enforcer break-glass`: a code that lets a machine boot which its policy keeps from booting.

use serde::Serialize;

use super::output::OutputError;
use super::{Exit, Failure, Output, ReportOption};
use crate::daemon::{BREAK_GLASS_PARAMETER, normal_code};
use crate::text::{hex, sha256};

/// Make a code that suspends enforcement for one boot.
///
/// Keep the code where you keep the passwords of the boot loader and of the disks, and put its hash into the policy's [break-glass] `codes`. When the machine does not
/// boot, add the parameter to the kernel's command line: that boot denies nothing and reports everything, and it is recorded. Each code works once.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer break-glass            a code, and what to write into the policy
  enforcer break-glass --json | jq -r .sha256")]
pub(super) struct Arguments {
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let code = new_code()?;
    let sha256 = hex(&sha256(normal_code(&code).as_bytes()));
    let parameter = format!("{BREAK_GLASS_PARAMETER}{code}");
    if arguments.report.json {
        output.json(&Made { code, parameter, sha256 })?;
    } else {
        tell(&Made { code, parameter, sha256 }, output)?;
    }
    Ok(Exit::Yes)
}

fn tell(made: &Made, output: &mut Output) -> Result<(), OutputError> {
    output.paragraph(0, "Keep this, and add it to the kernel's command line when the machine does not boot:")?;
    output.line(format!("  {}", made.parameter))?;
    output.line("")?;
    output.paragraph(0, "Write this into the policy, and have it put in force (systemctl reload enforcer):")?;
    output.line("  [break-glass]")?;
    output.line("  codes = [")?;
    output.line(format!("    \"{}\",", made.sha256))?;
    output.line("  ]")
}

/// 128 random bits in groups of letters and digits that are not mistaken for each other (Crockford's Base32).
fn new_code() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut bytes).map_err(|_| Failure::new(Exit::System, "the system has no random numbers"))?;
    let number = u128::from_be_bytes(bytes);
    let letters: Vec<char> = (0..LENGTH).map(|place| char::from(ALPHABET[(number >> (5 * place) & 31) as usize])).collect();
    Ok(letters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

#[derive(Serialize)]
struct Made {
    code: String,
    parameter: String,
    sha256: String,
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// As many as 128 bits take, of five bits each.
const LENGTH: u32 = 26;
const GROUP: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hold;

    #[test]
    fn a_code_is_told_with_what_to_do_with_it() {
        let code = "0123456-789ABCD-EFGHJKM-NPQRS".to_owned();
        let made = Made { parameter: format!("{BREAK_GLASS_PARAMETER}{code}"), sha256: hex(&sha256(normal_code(&code).as_bytes())), code };
        hold("break-glass/code", |output| tell(&made, output));
    }

    #[test]
    fn codes_are_long_and_never_the_same() {
        let [first, second] = [new_code().unwrap(), new_code().unwrap()];
        assert_ne!(first, second);
        assert_eq!(normal_code(&first).len(), LENGTH as usize);
        assert_eq!(normal_code(&first.to_lowercase()), normal_code(&first));
        assert!(first.len() < 40 && first.is_ascii(), "{first}");
    }
}
