//! Which protocol a job runs, and why: the one it names, or with `protocol = "auto"` the one that is expected to be done
//! first. It follows from the spec and the catalogue alone, so that every node finds the same.

use banyan_protocols::catalogue::{Catalogue, Cost, Parameters, Protocol};
use banyan_protocols::party::Role;

use super::buckets::Cut;
use super::expect::Expected;
use super::{ResultKind, Spec, SpecError};

/// What a job writes for its protocol to leave the choice to the plan.
pub const AUTO: &str = "auto";

/// A protocol and the reason for it.
pub(super) struct Choice {
    pub(super) protocol: &'static dyn Protocol,
    pub(super) reason: String,
}

/// The protocol of `spec` for these parameters.
///
/// # Errors
/// [`SpecError`] where the catalogue has none of that name, or none that opens this form in this suite.
pub(super) fn choose(spec: &Spec, catalogue: &Catalogue, parameters: &Parameters) -> Result<Choice, SpecError> {
    if spec.protocol.as_str() == AUTO {
        return fastest(spec, catalogue, parameters);
    }
    let protocol = named(spec, catalogue)?;
    let descriptor = protocol.descriptor();
    let (name, suite) = (descriptor.name, descriptor.suite.name());
    if descriptor.suite != spec.suite {
        return Err(SpecError::new(
            "suite",
            format!("protocol {name} is of suite {suite}, and the job asks for {}", spec.suite.name()),
            format!("write suite = \"{suite}\", or protocol = \"{AUTO}\""),
        ));
    }
    if !descriptor.forms.contains(&parameters.form) {
        return Err(SpecError::new(
            "result",
            format!("protocol {name} cannot open {}", parameters.form.name()),
            format!("it has: {}; or write protocol = \"{AUTO}\"", names(descriptor.forms.iter().map(|f| f.name()))),
        ));
    }
    if !protocol.senders().contains(&parameters.senders) {
        return Err(SpecError::new(
            "protocol",
            format!("{name} is not for {} parties", spec.parties.len()),
            format!("write protocol = \"{AUTO}\""),
        ));
    }
    match Cut::new(protocol, *parameters, spec).above(protocol) {
        Some(role) => Err(too_many(spec, protocol, parameters, role)),
        None => Ok(Choice { protocol, reason: "the job names it".into() }),
    }
}

fn named(spec: &Spec, catalogue: &Catalogue) -> Result<&'static dyn Protocol, SpecError> {
    catalogue.find(spec.protocol.as_str()).ok_or_else(|| {
        let known = [AUTO].into_iter().chain(catalogue.iter().map(|p| p.descriptor().name));
        SpecError::new(
            "protocol",
            format!("no protocol is called {}", spec.protocol),
            format!("use one of: {}", names(known)),
        )
    })
}

/// Of all that may be chosen the one that is expected to be done first over the network that the job declares; of equal
/// ones the first in the catalogue.
fn fastest(spec: &Spec, catalogue: &Catalogue, parameters: &Parameters) -> Result<Choice, SpecError> {
    let fits = |p: &dyn Protocol| {
        let d = p.descriptor();
        let opens = d.suite == spec.suite && d.forms.contains(&parameters.form);
        d.auto && opens && p.senders().contains(&parameters.senders)
    };
    let mut candidates: Vec<(u64, &'static dyn Protocol)> = Vec::new();
    let mut none = nothing_fits(spec, catalogue, parameters);
    for protocol in catalogue.iter().filter(|protocol| fits(*protocol)) {
        let cut = Cut::new(protocol, *parameters, spec);
        if let Some(role) = cut.above(protocol) {
            none = too_many(spec, protocol, parameters, role);
            continue;
        }
        let costs: [Cost; 2] = [Role::Receiver, Role::Sender].map(|role| cut.cost(protocol, role));
        candidates.push((Expected::of(&costs, spec.network.line()).total_us, protocol));
    }
    candidates.sort_by_key(|(us, _)| *us); // stable
    let Some((_, protocol)) = candidates.first() else { return Err(none) };
    let times: Vec<String> =
        candidates.iter().map(|(us, p)| format!("{} {}", p.descriptor().name, seconds(*us))).collect();
    let reason = format!(
        "the first to be done of suite {} over {} Mbit/s and {} ms round trip, as expected: {}",
        spec.suite.name(),
        spec.network.bandwidth_mbps,
        spec.network.rtt_ms,
        times.join(", ")
    );
    Ok(Choice { protocol: *protocol, reason })
}

/// A set that is above what the protocol takes in one run, and cannot be cut into buckets.
fn too_many(spec: &Spec, protocol: &dyn Protocol, parameters: &Parameters, role: Role) -> SpecError {
    let (name, max, band) = (protocol.descriptor().name, protocol.rows_max(role), parameters.sizes.of(role));
    let remedy = match spec.result {
        _ if spec.is_cascade() => {
            "give one key, so that the job goes in buckets; or name another protocol, or split the job"
        }
        ResultKind::Sum => "lower rows_at_most, or split the job",
        _ => "ask for result = \"rows\", so that the job goes in buckets; or name another protocol, or split the job",
    };
    let why = format!("{name} takes at most {max} rows of its {role} in one run, and the job's band is {band}");
    SpecError::new("protocol", why, remedy)
}

fn nothing_fits(spec: &Spec, catalogue: &Catalogue, parameters: &Parameters) -> SpecError {
    let form = parameters.form;
    if catalogue.iter().map(|p| p.descriptor()).any(|d| d.auto && d.suite == spec.suite && d.forms.contains(&form)) {
        let (suite, form, parties) = (spec.suite.name(), form.name(), spec.parties.len());
        return SpecError::new(
            "protocol",
            format!("none to choose from: no protocol of suite {suite} opens {form} between {parties} parties"),
            "ask for another result",
        );
    }
    let opens = catalogue.iter().map(|p| p.descriptor()).filter(|d| d.forms.contains(&form));
    let opens: Vec<String> = opens.map(|d| format!("{} of suite {}", d.name, d.suite.name())).collect();
    SpecError::new(
        "protocol",
        format!("none to choose from: no protocol of suite {} opens {}", spec.suite.name(), form.name()),
        format!("name one, with its suite: {}", names(opens.iter().map(String::as_str))),
    )
}

/// `1234567` as `1.235 s`.
fn seconds(us: u64) -> String {
    let ms = us / 1000 + u64::from(us % 1000 >= 500);
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;

    use banyan_protocols::catalogue::{Descriptor, Disclosure, Form, Input, Output, Suite};
    use banyan_protocols::error::Result as Ran;
    use banyan_protocols::session::Session;

    use super::*;
    use crate::canonical::Canonical;
    use crate::job::Plan;

    /// A protocol of which only the cost matters.
    struct Fake {
        descriptor: Descriptor,
        cost: fn(&Parameters, Role) -> Cost,
    }

    impl Protocol for Fake {
        fn descriptor(&self) -> &'static Descriptor {
            Box::leak(Box::new(self.descriptor))
        }
        fn disclosures(&self, _: Form) -> Vec<Disclosure> {
            Vec::new()
        }
        fn cost(&self, parameters: &Parameters, role: Role) -> Cost {
            (self.cost)(parameters, role)
        }
        fn rows_max(&self, _: Role) -> u64 {
            1 << 28
        }
        fn run<'a>(
            &'a self,
            _: &'a Session,
            _: Role,
            _: Parameters,
            _: Input,
        ) -> Pin<Box<dyn Future<Output = Ran<Output>> + Send + 'a>> {
            unreachable!("a choice runs nothing")
        }
    }

    const fn fake(
        name: &'static str,
        suite: Suite,
        auto: bool,
        forms: &'static [Form],
        cost: fn(&Parameters, Role) -> Cost,
    ) -> Fake {
        Fake { descriptor: Descriptor { name, summary: "", paper: "", security: "", suite, forms, auto }, cost }
    }

    fn each(p: &Parameters, rounds: u32, fixed_us: u64, us: u64, bytes: u64) -> Cost {
        let rows = p.sizes.receiver + p.sizes.sender;
        Cost { rounds, bytes_out: rows * bytes, group_ops: 0, cpu_us: fixed_us + rows * us }
    }

    /// Quick per row and dear to begin, as a VOLE is.
    static VOLE: Fake = fake("vole", Suite::Intl, true, &[Form::RowsToReceiver], |p, _| each(p, 5, 90_000, 1, 40));
    /// Slow per row, with few bytes.
    static CURVE: Fake =
        fake("curve", Suite::Intl, true, &[Form::RowsToReceiver, Form::RowsToBoth], |p, _| each(p, 2, 0, 7, 10));
    /// As quick as `curve`, and after it.
    static TWIN: Fake = fake("twin", Suite::Intl, true, &[Form::RowsToReceiver], |p, _| each(p, 2, 0, 7, 10));
    static CURVE_SM: Fake = fake("curve-sm", Suite::Sm, true, &[Form::RowsToReceiver], |p, _| each(p, 2, 0, 30, 10));
    /// Costs nothing, and claims less.
    static WEAK: Fake = fake("weak", Suite::Intl, false, &[Form::RowsToReceiver], |p, _| each(p, 1, 0, 0, 0));
    static CATALOGUE: Catalogue = Catalogue::new(&[&VOLE, &CURVE, &TWIN, &CURVE_SM, &WEAK]);

    /// The example's job with its protocol, more fields at its top, its network, and this many rows at each party.
    fn job(protocol: &str, fields: &str, network: &str, rows: u64) -> Spec {
        let text = Spec::EXAMPLE
            .replace("protocol = \"auto\"", &format!("{fields}\nprotocol = \"{protocol}\""))
            .replacen("[[parties]]", &format!("{network}\n[[parties]]"), 1)
            .replace("rows_at_most = 30000", &format!("rows_at_most = {rows}"));
        Spec::from_toml(&text).unwrap()
    }

    fn chosen(fields: &str, network: &str, rows: u64) -> (String, String) {
        let plan = Plan::derive(&job("auto", fields, network, rows), &CATALOGUE).unwrap();
        (plan.stages[0].protocol.to_string(), plan.reason)
    }

    #[test]
    fn auto_takes_the_first_to_be_done_and_says_why() {
        let small = "the first to be done of suite intl over 1000 Mbit/s and 1 ms round trip, as expected: \
                     curve 0.015 s, twin 0.015 s, vole 0.095 s";
        assert_eq!(chosen("", "", 1024), ("curve".into(), small.into()));
        let (protocol, why) = chosen("", "", 1 << 16);
        assert_eq!(protocol, "vole", "{why}");
        // the bytes of a vole take longer over a thin line than the points of a curve
        let (protocol, why) = chosen("", "[network]\nbandwidth_mbps = 5", 1 << 16);
        assert_eq!(protocol, "curve", "{why}");
        let (protocol, why) = chosen("", "[network]\nrtt_ms = 2000", 1 << 16);
        assert_eq!(protocol, "curve", "its rounds are fewer: {why}");
        let (protocol, why) = chosen("suite = \"sm\"", "", 1024);
        assert_eq!((&protocol[..], why.contains("of suite sm")), ("curve-sm", true), "{why}");
    }

    #[test]
    fn auto_keeps_to_the_form_and_a_plan_is_the_same_each_time() {
        let both = "recipients = [\"bank\", \"bureau\"]";
        let text = Spec::EXAMPLE.replace("recipients = [\"bank\"]            #", &format!("{both} #"));
        let text = text.replace("recipients = [\"bank\"]\nminimum", &format!("{both}\nminimum"));
        let spec = Spec::from_toml(&text.replace("= 30000", "= 1000000")).unwrap();
        let plan = Plan::derive(&spec, &CATALOGUE).unwrap();
        assert_eq!(plan.stages[0].protocol.as_str(), "curve", "the only one that opens rows to both");
        assert_eq!(Plan::derive(&spec, &CATALOGUE).unwrap().digest(), plan.digest());
        assert_eq!(Plan::from_bytes(&plan.to_bytes()), Ok(plan));
        let none = Plan::derive(&Spec { suite: Suite::Sm, ..spec }, &CATALOGUE).unwrap_err();
        assert_eq!(
            none.to_string(),
            "protocol: none to choose from: no protocol of suite sm opens rows-to-both; \
             name one, with its suite: curve of suite intl"
        );
    }

    #[test]
    fn what_a_protocol_does_not_take_in_one_run_is_cut_or_refused() {
        use banyan_protocols::CATALOGUE;
        let plan = |protocol: &str, rows, edit: &dyn Fn(&mut Spec)| {
            let mut spec = job(protocol, "", "", rows);
            spec.limits.memory_mb = 1 << 20;
            edit(&mut spec);
            Plan::derive(&spec, &CATALOGUE)
        };
        let low = plan("rr22-low", 1 << 24, &|_| ()).unwrap();
        assert_eq!(low.stages[0].buckets, 4, "two would be padded above 2^23 rows");
        let cascade = |spec: &mut Spec| spec.parties.iter_mut().for_each(|p| p.else_key = vec![p.key.clone()]);
        assert_eq!(
            plan("rr22-low", 1 << 24, &cascade).unwrap_err().to_string(),
            "protocol: rr22-low takes at most 8388608 rows of its sender in one run, and the job's band is 16777216; \
             give one key, so that the job goes in buckets; or name another protocol, or split the job"
        );
        let count = |spec: &mut Spec| {
            (spec.result, spec.scenario.results) = (ResultKind::Count, Vec::new());
        };
        assert_eq!(
            plan("cardinality", 1 << 23, &count).unwrap_err().to_string(),
            "protocol: cardinality takes at most 4194304 rows of its receiver in one run, and the job's band is 8388608; \
             ask for result = \"rows\", so that the job goes in buckets; or name another protocol, or split the job"
        );
        let auto = plan("auto", 1 << 23, &count).unwrap();
        assert!(!auto.reason.contains("cardinality"), "passed over: {}", auto.reason);
    }

    #[test]
    fn a_named_protocol_is_taken_if_it_fits() {
        let plan = |protocol, fields| Plan::derive(&job(protocol, fields, "", 64), &CATALOGUE);
        let weak = plan("weak", "").unwrap();
        assert_eq!((weak.stages[0].protocol.as_str(), &weak.reason[..]), ("weak", "the job names it"));
        assert_eq!(
            plan("curve-sm", "").unwrap_err().to_string(),
            "suite: protocol curve-sm is of suite sm, and the job asks for intl; \
             write suite = \"sm\", or protocol = \"auto\""
        );
        assert_eq!(
            plan("magic", "").unwrap_err().to_string(),
            "protocol: no protocol is called magic; use one of: auto, vole, curve, twin, curve-sm, weak"
        );
    }
}
