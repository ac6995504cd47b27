//! `banyan job check`: what a job file means, before anybody is asked. Needs no server, no key and no data.

use std::path::PathBuf;

use banyan_proto::canonical::Canonical;
use banyan_proto::job::{Plan, Spec, When};
use clap::Args;
use jiff::{SignedDuration, Timestamp, Unit};

use super::words;
use crate::cli::answer::{Answer, Failure};

/// A whole job file with a comment at every field.
pub(crate) const EXAMPLE: &str = Spec::EXAMPLE;

/// The largest job file that is read: far above a spec with every limit used.
const FILE_MAX: u64 = 1 << 20;

/// Flags of `job check`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan job check --example > job.toml    # start from a whole, commented job file
  banyan job check job.toml                # plan, cost, and who will learn what
  banyan job check job.toml --json | jq -r .spec_digest")]
pub(crate) struct CheckArgs {
    /// The job file (TOML)
    #[arg(required_unless_present = "example")]
    file: Option<PathBuf>,
    /// Print a whole job file with a comment at every field, and stop
    #[arg(long, conflicts_with = "file")]
    example: bool,
}

/// Runs the command.
pub(crate) fn run(args: CheckArgs) -> Result<Answer, Failure> {
    let Some(file) = args.file else {
        return Ok(Answer::yes(EXAMPLE, serde_json::json!({ "example": EXAMPLE })));
    };
    let (spec, plan) = read(&file)?;
    let text = words::explain(&spec, &plan).map_err(|error| Failure::input(error).at(file.display()))?;
    let json = words::as_json(&spec, &plan).map_err(|error| Failure::input(error).at(file.display()))?;
    Ok(Answer::yes(text, json))
}

/// Reads a job file and derives its plan.
///
/// # Errors
/// [`Failure::Input`] names the file, the field, the reason and what would be right.
pub(crate) fn read(file: &std::path::Path) -> Result<(Spec, Plan), Failure> {
    use std::io::Read;
    let unread = |error: std::io::Error| Failure::input(format!("{}: cannot be read: {error}", file.display()));
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(unread)?;
    opened.take(FILE_MAX + 1).read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > FILE_MAX {
        return Err(Failure::input(format!("{}: larger than {FILE_MAX} bytes; is it a job file?", file.display())));
    }
    parse(&text).map_err(|failure| failure.at(file.display()))
}

/// Reads a job's text and derives its plan.
///
/// # Errors
/// [`Failure::Input`] names the field, the reason and what would be right.
pub(crate) fn parse(text: &str) -> Result<(Spec, Plan), Failure> {
    let spec = Spec::from_toml(text).map_err(Failure::input)?;
    let plan = plan(&spec)?;
    // the bytes that will be approved must read back as this very spec
    Spec::from_canonical(&spec.to_bytes()).map_err(Failure::input)?;
    Ok((spec, plan))
}

/// The plan that follows from a spec.
///
/// # Errors
/// [`Failure::Input`] where this build has none for it.
pub(crate) fn plan(spec: &Spec) -> Result<Plan, Failure> {
    Plan::derive(spec, &banyan_protocols::CATALOGUE).map_err(Failure::input)
}

/// A bundled job, valid from a day ago for two days: a program that was built years ago still runs it.
///
/// # Errors
/// As [`parse`].
pub(crate) fn bundled(text: &str) -> Result<(Spec, Plan), Failure> {
    let (mut spec, _) = parse(text)?;
    let now = Timestamp::now().round(Unit::Second).map_err(Failure::not_now)?;
    spec.scenario.valid_from = When(now - SignedDuration::from_hours(24));
    spec.scenario.valid_until = When(now + SignedDuration::from_hours(24));
    let plan = plan(&spec)?;
    Ok((spec, plan))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The example's spec and plan.
    pub(crate) fn example_plan() -> (Spec, Plan) {
        parse(EXAMPLE).expect("the example is a job")
    }

    #[test]
    fn a_wrong_field_is_named_with_its_remedy() {
        let wrong = EXAMPLE.replace("recipients = [\"bank\"]            #", "recipients = [\"police\"] #");
        assert_ne!(wrong, EXAMPLE);
        assert_eq!(
            parse(&wrong).unwrap_err().to_string(),
            "recipients: police is no party of this job; name one of: bank, bureau"
        );
        let wrong = EXAMPLE.replace("protocol = \"auto\"", "protocol = \"magic\"");
        let told = parse(&wrong).unwrap_err().to_string();
        assert!(told.starts_with("protocol: no protocol is called magic; use one of: auto, rr22"), "{told}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = read(std::path::Path::new("no/such/job.toml")).unwrap_err();
        assert!(failure.to_string().starts_with("no/such/job.toml: cannot be read:"), "{failure}");
    }
}
