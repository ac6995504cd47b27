//! A whole installation on one machine: the coordinator, a developer and every party, as real processes over real TLS.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use banyan_proto::job::{Spec, State};
use banyan_protocols::party::PartyId;
use banyan_protocols::sim::Net;
use futures::future::{join_all, try_join_all};
use futures::{StreamExt, TryFutureExt};

use super::homes::Homes;
use super::party::{LogProof, Party};
use super::process::{Calls, Daemon};
use super::proxy::{Line, Proxy};
use crate::cli::answer::Failure;
use crate::cli::client::Client;
use crate::cli::developer::Developer;
use crate::cli::evidence::Receipt;
use crate::cli::job::watch::{far, now};
use crate::cli::programs::{Program, Programs};
use crate::cli::progress::Progress;
use crate::cli::view::JobView;

/// The developer's name in a local run.
const DEVELOPER: &str = "developer";
/// How long a node that is up may take to reach the coordinator on the same machine.
const ATTEND_WITHIN: Duration = Duration::from_secs(60);
/// How often the coordinator is asked whether it did.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How the nodes reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each dials the other's port.
    Direct,
    /// Nobody has a port: sealed frames go through the coordinator.
    Relay,
    /// Each dials the other through a line of this latency and bandwidth.
    Slow(Net),
}

/// What is to be played.
pub(crate) struct Play<'a> {
    /// Where the programs are.
    pub(crate) programs: &'a Programs,
    /// The job.
    pub(crate) spec: &'a Spec,
    /// A job of the same scenario that the same nodes run before it.
    pub(crate) before: Option<&'a Spec>,
    /// The data directory of every party.
    pub(crate) data: &'a BTreeMap<PartyId, PathBuf>,
    /// How the nodes reach each other.
    pub(crate) way: Way,
    /// Where to say what happens.
    pub(crate) progress: &'a Progress,
}

/// Everything that runs. Dropped, it is killed; [`Scene::stop`] also awaits it.
pub(crate) struct Scene {
    homes: Homes,
    calls: Calls,
    daemons: Vec<Daemon>,
    proxies: Vec<Proxy>,
    parties: Vec<Party>,
    begun: Instant,
}

/// A job that was released.
pub(crate) struct Played {
    /// The job at its end.
    pub(crate) job: JobView,
    /// Where every party's result is.
    pub(crate) results: BTreeMap<PartyId, PathBuf>,
    /// From the start of the first process until every party had admitted the job.
    pub(crate) setup: Duration,
    /// From there until the result was released everywhere.
    pub(crate) run: Duration,
    /// Where every party's result of the job before it is.
    pub(crate) before: Option<BTreeMap<PartyId, PathBuf>>,
}

impl Scene {
    /// An empty scene.
    ///
    /// # Errors
    /// [`Failure::NotNow`] where there is no room for its homes.
    pub(crate) fn new() -> Result<Self, Failure> {
        let (daemons, proxies, parties) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { homes: Homes::new()?, calls: Calls::default(), daemons, proxies, parties, begun: Instant::now() })
    }

    /// Sets everything up, runs the job and gives where its results are. May be dropped at any await: what was started by
    /// then is still in the scene.
    ///
    /// # Errors
    /// The failure of the party that stopped it, in that party's own words.
    pub(crate) async fn play(&mut self, play: &Play<'_>) -> Result<Played, Failure> {
        let (coordinator, node) = play.programs.find()?;
        play.progress.step("starting the coordinator");
        let mut client = self.open_house(&coordinator).await?;
        play.progress.step("making a node for every party, with keys of its own");
        self.make_parties(play, &coordinator, &node).await?;
        play.progress.step("starting the nodes");
        self.start_parties(&mut client).await?;
        play.progress.step("pinning each other's keys");
        self.introduce(play.way).await?;
        let mut before = None;
        if let Some(spec) = play.before {
            before = Some(self.run(play, spec, &mut client).await?.results);
            self.begun = Instant::now(); // what it set up stands
        }
        Ok(Played { before, ..self.run(play, play.spec, &mut client).await? })
    }

    /// Stops everything and waits until it is gone. The homes stay until the scene is dropped.
    pub(crate) async fn stop(&mut self) {
        self.calls.stop().await;
        // nodes first: they say good-bye to the coordinator
        while let Some(daemon) = self.daemons.pop() {
            daemon.stop().await;
        }
        self.proxies.clear();
    }

    /// Checks every party's log off line, also against what the others keep of it. After [`Scene::stop`], so that it is
    /// whole.
    ///
    /// # Errors
    /// [`Failure::No`] names the log that does not hold.
    pub(crate) async fn verify_logs(&self, receipts: &[Receipt]) -> Result<Vec<LogProof>, Failure> {
        let mut kept: BTreeMap<&PartyId, Vec<PathBuf>> = BTreeMap::new();
        for receipt in receipts {
            let file = self.homes.home(&format!("{}-of-{}.receipt", receipt.holder, receipt.of));
            let written = std::fs::write(&file, receipt.signed.to_bytes());
            written.map_err(|error| Failure::not_now(format!("{}: cannot be written: {error}", file.display())))?;
            kept.entry(&receipt.of).or_default().push(file);
        }
        let verify = self.parties.iter().map(|party| party.verify_log(kept.remove(&party.name).unwrap_or_default()));
        try_join_all(verify).await
    }

    /// The parties.
    pub(crate) fn parties(&self) -> &[Party] {
        &self.parties
    }

    async fn open_house(&mut self, coordinator: &Program) -> Result<Client, Failure> {
        let home = self.homes.home("coordinator");
        let args = ["serve".as_ref(), "--home".as_ref(), home.as_os_str(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
        let daemon = Daemon::start("the coordinator", coordinator, &args, &self.homes.log("coordinator"))?;
        self.daemons.push(daemon);
        if let Some(daemon) = self.daemons.last_mut() {
            daemon.wrote(&home.join("listen.addr")).await?;
        }
        let developer_home = self.homes.home(DEVELOPER);
        let token = self.invite(coordinator, DEVELOPER, true).await?;
        let invite = token.parse().map_err(Failure::input)?;
        crate::cli::join::join(&invite, &developer_home).await?;
        Client::of(&Developer::open(&developer_home)?).await
    }

    async fn make_parties(&mut self, play: &Play<'_>, coordinator: &Program, node: &Program) -> Result<(), Failure> {
        let this = &*self;
        let make = |(name, data): (&PartyId, &PathBuf)| {
            let (name, data, home) = (name.clone(), data.clone(), this.homes.home(&format!("node-{name}")));
            async move {
                let party = Party::init(&name, home, node, &this.calls, &data, play.way != Way::Relay).await?;
                party.scan().await?;
                party.join(&this.invite(coordinator, name.as_str(), false).await?).await?;
                Ok::<_, Failure>(party)
            }
        };
        self.parties = try_join_all(play.data.iter().map(make)).await?;
        Ok(())
    }

    async fn start_parties(&mut self, client: &mut Client) -> Result<(), Failure> {
        let first = self.daemons.len();
        for party in &self.parties {
            self.daemons.push(party.up(&self.homes.log(&format!("node-{}", party.name)))?);
        }
        for (daemon, party) in self.daemons[first..].iter_mut().zip(&self.parties) {
            daemon.wrote(&party.admin_file()).await?;
        }
        self.all_attend(client, first).await
    }

    /// Waits until the coordinator sees every node.
    async fn all_attend(&mut self, client: &mut Client, first: usize) -> Result<(), Failure> {
        let until = Instant::now() + ATTEND_WITHIN;
        loop {
            let roster = client.roster().await?;
            let away = |party: &Party| !roster.iter().any(|one| one.online && one.name == party.name.as_str());
            let Some(away) = self.parties.iter().position(away) else { return Ok(()) };
            for daemon in &mut self.daemons {
                daemon.check()?;
            }
            if Instant::now() > until {
                let (name, last) = (&self.parties[away].name, self.daemons[first + away].last());
                return Err(Failure::NotNow(format!("{name} does not reach the coordinator:\n{last}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Every node pins every other, by the fingerprint that the other's own `init` printed.
    async fn introduce(&mut self, way: Way) -> Result<(), Failure> {
        let mut urls = BTreeMap::new();
        let into = |net| self.parties.iter().map(|_| Line::new(net)).collect();
        let lines: Vec<Line> = if let Way::Slow(net) = way { into(net) } else { Vec::new() };
        for (index, party) in self.parties.iter().enumerate() {
            let listens = || {
                std::fs::read_to_string(party.listen_file())
                    .map(|url| url.trim().to_owned())
                    .map_err(|error| Failure::not_now(format!("{}: no port for peers: {error}", party.name)))
            };
            let url = match way {
                Way::Relay => None,
                Way::Direct => Some(listens()?),
                Way::Slow(_) => {
                    // what comes back from one goes into the other; of more than two, all but the first into the first
                    let (towards, back) = (&lines[index], &lines[usize::from(index == 0)]);
                    let proxy = Proxy::start(&listens()?, towards.clone(), back.clone()).await?;
                    let url = proxy.url();
                    self.proxies.push(proxy);
                    Some(url)
                }
            };
            urls.insert(party.name.clone(), url);
        }
        let pairs = self.parties.iter().flat_map(|a| self.parties.iter().map(move |b| (a, b)));
        let pins = pairs.filter(|(a, b)| a.name != b.name).map(|(a, b)| {
            let url = urls.get(&b.name).and_then(Option::as_deref);
            a.confirm(b, url)
        });
        try_join_all(pins).await.map(|_| ())
    }

    async fn run(&self, play: &Play<'_>, spec: &Spec, client: &mut Client) -> Result<Played, Failure> {
        play.progress.step("proposing the job");
        let job = client.propose(spec).await?;
        let mut changes = client.watch(&job.digest).await?;
        let mut approved: Vec<&PartyId> = Vec::new();
        let mut admitted: Option<Instant> = None;
        while let Some(change) = changes.next().await {
            let job = change?;
            play.progress.step(&now(&job));
            play.progress.far(&far(&job), job.fraction());
            if admitted.is_none() && job.state != State::Proposed {
                admitted = Some(Instant::now());
            }
            if job.state == State::Released {
                let (results, ready) = (self.results(&job), admitted.unwrap_or(self.begun));
                let (setup, run) = (ready - self.begun, ready.elapsed());
                return Ok(Played { job, results, setup, run, before: None });
            }
            if job.state.is_over() {
                return Err(self.why(&job).await);
            }
            for party in &self.parties {
                if is_waiting(&job, &party.name) && !approved.contains(&&party.name) {
                    approved.push(&party.name);
                    party.approve(&job.digest).await?;
                }
            }
        }
        Err(Failure::not_now("the coordinator ended the line before the job was over"))
    }

    /// Why a job ended without a result: the words of the nodes, else what the coordinator was told.
    async fn why(&self, job: &JobView) -> Failure {
        let whys = join_all(self.parties.iter().map(|party| party.why(job))).await;
        let reasons =
            self.parties.iter().zip(whys).filter_map(|(party, why)| Some(format!("{}: {}", party.name, why?)));
        let mut reasons: Vec<String> = reasons.collect();
        if reasons.is_empty() {
            reasons.push(job.reason.clone());
        }
        let ended = if job.state == State::Failed { "failed" } else { &format!("was {}", job.state.name()) };
        let reason = format!("the job {ended}: {}", reasons.join("; "));
        if job.state == State::Refused { Failure::Refused(reason) } else { Failure::No(reason) }
    }

    fn results(&self, job: &JobView) -> BTreeMap<PartyId, PathBuf> {
        let dir = |party: &Party| party.result_dir(job.spec.name.as_str(), &job.digest, job.attempt);
        self.parties.iter().map(|party| (party.name.clone(), dir(party))).collect()
    }

    async fn invite(&self, coordinator: &Program, name: &str, developer: bool) -> Result<String, Failure> {
        let home = self.homes.home("coordinator");
        let mut args = vec!["invite".as_ref(), name.as_ref(), "--json".as_ref(), "--home".as_ref(), home.as_os_str()];
        if developer {
            args.push("--developer".as_ref());
        }
        let answer = self.calls.call(coordinator, &args).map_err(|failure| failure.at("the coordinator")).await?;
        let token = answer["token"].as_str().map(str::to_owned);
        token.ok_or_else(|| Failure::not_now("`banyan invite` answered without a token"))
    }
}

fn is_waiting(job: &JobView, party: &PartyId) -> bool {
    job.parties.iter().any(|one| one.name == *party && one.phase == "waiting")
}
