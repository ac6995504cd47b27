//! `banyan job review`: the operator's first, or the authority's final word on a scenario, signed with the caller's own key.

use std::path::Path;

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::grant::{Approval, Reviewer};
use banyan_proto::identity::{Identity, PublicKey, Signed};
use banyan_proto::job::When;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::json;

use super::pick::pick;
use super::{check, words};
use crate::cli::answer::{Answer, Failure};
use crate::cli::client::Client;
use crate::cli::developer::{Developer, HomeArg};
use crate::cli::prompt::confirm;
use crate::cli::view::JobView;

/// Flags of `job review`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan job review common-customers --as operator --home ~/.banyan     # from the coordinator's home
  banyan job review common-customers --as authority                     # who joined with `banyan invite NAME --authority`
  banyan job review job.toml --as authority --deny --reason \"the purpose is too wide\"

It is a word on the job's scenario, and stands for every job under it. The authority's follows the operator's; --first \
signs one that follows none, for nodes that require no other. A no stands against every later yes of the same key. A node \
counts a review where its configuration has the key under [[required_reviews]].")]
pub(crate) struct ReviewArgs {
    /// The job: its file, its name, or the first digits of its digest
    job: String,
    /// In which capacity
    #[arg(long = "as", value_enum)]
    capacity: Capacity,
    /// Say no, for good
    #[arg(long, requires = "reason")]
    deny: bool,
    /// Why, for the coordinator's log
    #[arg(long)]
    reason: Option<String>,
    /// Follow no other review
    #[arg(long)]
    first: bool,
    /// Do not ask again
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    home: HomeArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Capacity {
    /// The first review
    Operator,
    /// The final review
    Authority,
}

/// Runs the command.
pub(crate) async fn run(args: ReviewArgs) -> Result<Answer, Failure> {
    let developer = Developer::open(&args.home.path()?)?;
    let mut client = Client::of(&developer).await?;
    let digest = meant(&mut client, &args.job).await?;
    // the list has no reviews
    let job = client.job(&digest).await?;
    let (me, operator) = (&developer.identity, &developer.config.coordinator.key);
    let signed = sign(&job, me, operator, args.capacity, !args.deny, args.first)?;
    let scenario = &job.spec.scenario;
    let (name, scenario) = (&scenario.name, scenario.digest());
    if !args.yes {
        let plan = check::plan(&job.spec)?;
        let whole = words::explain(&job.spec, &plan).map_err(Failure::input)?;
        let what = if args.deny { "Refuse, for good," } else { "Allow" };
        confirm(&format!("{whole}\n{what} scenario {name} ({}) with your signature?", scenario.short()))?;
    }
    client.review(&digest, &signed, args.reason.as_deref().unwrap_or_default()).await?;
    let (said, key) = (if args.deny { "denied" } else { "approved" }, me.public());
    let text = format!(
        "{said}: scenario {name} ({scenario}), as the {}\nnodes count it that have this key under [[required_reviews]]: {key}",
        args.capacity.name()
    );
    Ok(Answer::yes(
        text,
        json!({
            "job": digest, "scenario": scenario, "reviewer": args.capacity.name(), "approved": !args.deny, "key": key,
            "review": signed.digest(),
        }),
    ))
}

async fn meant(client: &mut Client, job: &str) -> Result<Digest, Failure> {
    if Path::new(job).is_file() {
        return Ok(check::read(Path::new(job))?.0.digest());
    }
    Ok(pick(client, job).await?.digest)
}

/// A word on the job's scenario. The authority's follows the operator's, whose key is the coordinator's own.
fn sign(
    job: &JobView,
    me: &Identity,
    operator: &PublicKey,
    capacity: Capacity,
    approved: bool,
    first: bool,
) -> Result<Signed<Approval>, Failure> {
    let scenario = job.spec.scenario.digest();
    let of_operator = |review: &&Signed<Approval>| {
        let word = review.verify(operator);
        word.is_ok_and(|word| word.reviewer == Reviewer::Operator && word.scenario == scenario && word.approved)
    };
    let after = match capacity {
        Capacity::Authority if !first => job.reviews.iter().find(of_operator).map(Signed::digest),
        _ => None,
    };
    if capacity == Capacity::Authority && approved && !first && after.is_none() {
        return Err(Failure::input(
            "the operator has not approved this scenario, and the authority's review follows that one; ask for \
             `banyan job review --as operator`, or give --first where nodes require none",
        ));
    }
    let at = When(Timestamp::now());
    Ok(me.sign(&Approval { scenario, reviewer: capacity.into(), party: None, approved, after, at }))
}

impl Capacity {
    fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Authority => "authority",
        }
    }
}

impl From<Capacity> for Reviewer {
    fn from(capacity: Capacity) -> Self {
        match capacity {
            Capacity::Operator => Self::Operator,
            Capacity::Authority => Self::Authority,
        }
    }
}
