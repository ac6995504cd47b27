//! The standing line to the coordinator. The node dials, so it needs no open port; a broken line is dialled again, and
//! what was to be said in the meantime is said then.

use std::time::Duration;

use banyan_proto::wire::coordinator_client::CoordinatorClient;
use banyan_proto::wire::{self, Instruction, Report, instruction, report};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// Reports that wait for the line: a few per attempt, for more attempts than a node runs at once.
pub(crate) const REPORTS_MAX: usize = 1024;
/// The first and the longest pause before the coordinator is dialled again.
const REDIAL: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];
/// Characters of a reason that is shown: it may be the coordinator's word.
const REASON_MAX: usize = 300;
/// How often a quiet line says that it is there: below the idle limits of common firewalls.
const PULSE: Duration = Duration::from_secs(15);

/// How long the last reports may take to be heard when the node stops.
pub(crate) const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// What the line tells the jobs.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The line stands. The difference of the coordinator's clock to this one, in milliseconds.
    Up { clock_ahead_ms: i64 },
    /// The line broke, or did not come up.
    Down { reason: String },
    /// The coordinator says something.
    Instruction(instruction::Body),
}

/// What a node says of itself when the line comes up.
pub(crate) struct Greeting {
    pub(crate) url: String,
    pub(crate) catalogue: Vec<u8>,
}

/// Both ends of the line inside the node.
pub(crate) struct Line {
    pub(crate) reports: mpsc::Sender<report::Body>,
    pub(crate) heard: mpsc::Receiver<Heard>,
}

/// Keeps a line up until told to stop, or until nobody has anything to say any more and all of it was said. `dial` connects
/// to the coordinator that this node has pinned. The task ends with the line.
///
/// Each new line greets anew, so that what changed since is known.
pub(crate) fn keep<D, F>(
    dial: D,
    greet: impl Fn() -> Greeting + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) -> (Line, JoinHandle<()>)
where
    D: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<Channel, String>> + Send,
{
    let (reports, mut to_say) = mpsc::channel(REPORTS_MAX);
    let (hear, heard) = mpsc::channel(64);
    let task = tokio::spawn(async move {
        let mut pause = REDIAL[0];
        while !(*stop.borrow() || to_say.is_closed() && to_say.is_empty()) {
            let attempt = async {
                let channel = dial().await?;
                attend(channel, greet(), &mut to_say, &hear, &mut pause).await
            };
            let reason = tokio::select! {
                ended = attempt => match ended {
                    Ok(()) => break,
                    Err(reason) => reason,
                },
                () = told(&mut stop) => break,
            };
            let reason: String = reason.chars().take(REASON_MAX).collect();
            tracing::warn!(%reason, retry_ms = pause.as_millis() as u64, "the line to the coordinator is down");
            let _ = hear.send(Heard::Down { reason }).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = told(&mut stop) => break,
            }
            pause = (pause * 2).min(REDIAL[1]);
        }
    });
    (Line { reports, heard }, task)
}

async fn attend(
    channel: Channel,
    greeting: Greeting,
    to_say: &mut mpsc::Receiver<report::Body>,
    hear: &mpsc::Sender<Heard>,
    pause: &mut Duration,
) -> Result<(), String> {
    let (say, said) = mpsc::channel(64);
    let hello = wire::Hello {
        version: wire::VERSION,
        url: greeting.url,
        catalogue: greeting.catalogue.into(),
        now_ms: Timestamp::now().as_millisecond(),
    };
    let report = |body| Report { body: Some(body) };
    say.send(report(report::Body::Hello(hello))).await.map_err(|_| "closed")?;
    let mut client = CoordinatorClient::new(channel).max_decoding_message_size(wire::MESSAGE_MAX);
    let asked = client.attend(ReceiverStream::new(said)).await;
    let mut instructions = asked.map_err(|status| status.message().to_owned())?.into_inner();
    let mut pulse = tokio::time::interval(PULSE);
    // nobody may hear any more while the last reports are still to be said
    loop {
        tokio::select! {
            instruction = instructions.message() => {
                let body = match instruction.map_err(|status| status.message().to_owned())? {
                    Some(Instruction { body: Some(instruction::Body::Welcome(welcome)) }) => {
                        if welcome.version != wire::VERSION {
                            return Err(format!(
                                "the coordinator speaks version {}, this node version {}: update the older one",
                                welcome.version, wire::VERSION
                            ));
                        }
                        *pause = REDIAL[0];
                        let clock_ahead_ms = welcome.now_ms.saturating_sub(Timestamp::now().as_millisecond());
                        let _ = hear.send(Heard::Up { clock_ahead_ms }).await;
                        for introduction in welcome.roster {
                            let body = instruction::Body::Introduction(introduction);
                            let _ = hear.send(Heard::Instruction(body)).await;
                        }
                        continue;
                    }
                    Some(Instruction { body: Some(body) }) => body,
                    Some(Instruction { body: None }) => continue,
                    None => return Err("closed by the coordinator".into()),
                };
                let _ = hear.send(Heard::Instruction(body)).await;
            }
            body = to_say.recv() => match body {
                Some(body) => say.send(report(body)).await.map_err(|_| "closed")?,
                None => {
                    // the coordinator ends its side when it has heard the end of ours
                    drop(say);
                    while let Ok(Some(_)) = instructions.message().await {}
                    return Ok(());
                }
            },
            _ = pulse.tick() => {
                say.send(report(report::Body::Pulse(wire::Pulse {}))).await.map_err(|_| "closed")?;
            }
        }
    }
}

/// Resolves when it is told to stop.
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
