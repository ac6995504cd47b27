//! The standard's handshake, version 2: rank 1 proposes, rank 0 answers. SecretFlow's psi leaves it out; other vendors want
//! it. Each side has the terms from its job already, so that there is nothing to choose: they agree or they do not.

use banyan_proto::wire::interconnection::v2::algos::{PsiDataIoProposal, PsiDataIoResult};
use banyan_proto::wire::interconnection::v2::protocol::{EcSuit, EccProtocolProposal, EccProtocolResult};
use banyan_proto::wire::interconnection::v2::{HandshakeRequest, HandshakeResponse};
use banyan_proto::wire::interconnection::{Any, ResponseHeader};
use banyan_protocols::psi::interop::{EcSuite, TAIL};
use banyan_protocols::transport::LinkError;
use bytes::Bytes;
use prost::Message;

use super::{Lane, Line};

/// The version of the handshake, and of all that is agreed in it.
const VERSION: i32 = 2;
const TERMS_VERSION: i32 = 1;
/// `ALGO_TYPE_ECDH_PSI`, `PROTOCOL_FAMILY_ECC`.
const ECDH_PSI: i32 = 1;
const ECC: i32 = 1;
/// `result_to_rank` where both receive.
const BOTH: i32 = -1;
/// Bits of a doubly masked point that are sent.
const TRUNCATED: i32 = TAIL as i32 * 8;

const ECC_PROPOSAL: &str = "type.googleapis.com/org.interconnection.v2.protocol.EccProtocolProposal";
const ECC_RESULT: &str = "type.googleapis.com/org.interconnection.v2.protocol.EccProtocolResult";
const IO_PROPOSAL: &str = "type.googleapis.com/org.interconnection.v2.algos.PsiDataIoProposal";
const IO_RESULT: &str = "type.googleapis.com/org.interconnection.v2.algos.PsiDataIoResult";

/// What the two must agree on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Curve, hash and encoding.
    pub(crate) suite: EcSuite,
    /// How many points we send.
    pub(crate) items: u64,
    /// How many the peer may send.
    pub(crate) items_of_peer: u64,
    /// The rank that receives the result; none: both.
    pub(crate) receiver: Option<u32>,
}

/// Why there is no agreement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The line failed.
    #[error("handshake: {0}")]
    Link(#[from] LinkError),
    /// What came is no handshake.
    #[error("handshake: the peer's {0} is malformed")]
    Malformed(&'static str),
    /// The peer wants other terms.
    #[error("handshake: the peer has another {0} than the job: compare both sides' settings")]
    Terms(&'static str),
    /// The peer said no.
    #[error("handshake: the peer refused with code {0} of the interconnection standard")]
    Refused(i32),
}

/// Agrees on `terms` over a line that stands.
///
/// # Errors
/// [`Refusal`] names the term.
pub(crate) async fn agree(line: &Line, rank: u32, terms: &Terms) -> Result<(), Refusal> {
    if rank == 0 {
        let verdict = check_request(line.recv(Lane::Main).await?, terms);
        line.send(Lane::Main, response(terms, verdict.as_ref().err()).encode_to_vec().into()).await?;
        verdict
    } else {
        line.send(Lane::Main, request(terms).encode_to_vec().into()).await?;
        check_response(line.recv(Lane::Main).await?, terms)
    }
}

fn request(terms: &Terms) -> HandshakeRequest {
    let ecc = EccProtocolProposal {
        supported_versions: vec![TERMS_VERSION],
        ec_suits: vec![suit(terms.suite)],
        point_octet_formats: vec![format(terms.suite)],
        support_point_truncation: true,
    };
    let io = PsiDataIoProposal {
        supported_versions: vec![TERMS_VERSION],
        item_num: i64::try_from(terms.items).unwrap_or(i64::MAX),
        result_to_rank: receiver(terms),
    };
    HandshakeRequest {
        version: VERSION,
        requester_rank: 1,
        supported_algos: vec![ECDH_PSI],
        protocol_families: vec![ECC],
        protocol_family_params: vec![packed(ECC_PROPOSAL, &ecc)],
        io_param: Some(packed(IO_PROPOSAL, &io)),
        ..HandshakeRequest::default()
    }
}

fn response(terms: &Terms, refusal: Option<&Refusal>) -> HandshakeResponse {
    if let Some(refusal) = refusal {
        // 31100200 handshake refused, …201 version, …202 algorithm, …203 parameters
        let error_code = match refusal {
            Refusal::Terms("version") => 31_100_201,
            Refusal::Terms("algorithm") => 31_100_202,
            Refusal::Terms(_) => 31_100_203,
            _ => 31_100_200,
        };
        let header = ResponseHeader { error_code, error_msg: refusal.to_string() };
        return HandshakeResponse { header: Some(header), ..HandshakeResponse::default() };
    }
    let ecc = EccProtocolResult {
        version: TERMS_VERSION,
        ec_suit: Some(suit(terms.suite)),
        point_octet_format: format(terms.suite),
        bit_length_after_truncated: TRUNCATED,
    };
    let io = PsiDataIoResult { version: TERMS_VERSION, result_to_rank: receiver(terms) };
    HandshakeResponse {
        header: Some(ResponseHeader::default()),
        algo: ECDH_PSI,
        protocol_families: vec![ECC],
        protocol_family_params: vec![packed(ECC_RESULT, &ecc)],
        io_param: Some(packed(IO_RESULT, &io)),
        ..HandshakeResponse::default()
    }
}

fn check_request(value: Bytes, terms: &Terms) -> Result<(), Refusal> {
    let request = HandshakeRequest::decode(value).map_err(|_| Refusal::Malformed("request"))?;
    same("version", request.version == VERSION)?;
    same("rank", request.requester_rank == 1)?;
    same("algorithm", request.supported_algos.contains(&ECDH_PSI))?;
    let ecc = family(&request.protocol_families, &request.protocol_family_params)?;
    let ecc: EccProtocolProposal = opened(ecc, ECC_PROPOSAL, "proposal of curves")?;
    same("version of curves", ecc.supported_versions.contains(&TERMS_VERSION))?;
    same("suite", ecc.ec_suits.contains(&suit(terms.suite)))?;
    same("encoding of points", ecc.point_octet_formats.contains(&format(terms.suite)))?;
    same("rule for shortening points", ecc.support_point_truncation)?;
    let io = request.io_param.as_ref().ok_or(Refusal::Malformed("proposal of data"))?;
    let io: PsiDataIoProposal = opened(io, IO_PROPOSAL, "proposal of data")?;
    same("version of data", io.supported_versions.contains(&TERMS_VERSION))?;
    same("receiver", io.result_to_rank == receiver(terms))?;
    same("number of rows", u64::try_from(io.item_num).is_ok_and(|items| items <= terms.items_of_peer))
}

fn check_response(value: Bytes, terms: &Terms) -> Result<(), Refusal> {
    let response = HandshakeResponse::decode(value).map_err(|_| Refusal::Malformed("response"))?;
    match response.header.unwrap_or_default().error_code {
        0 => {}
        code => return Err(Refusal::Refused(code)),
    }
    same("algorithm", response.algo == ECDH_PSI)?;
    let ecc = family(&response.protocol_families, &response.protocol_family_params)?;
    let ecc: EccProtocolResult = opened(ecc, ECC_RESULT, "answer on curves")?;
    same("version of curves", ecc.version == TERMS_VERSION)?;
    same("suite", ecc.ec_suit == Some(suit(terms.suite)))?;
    same("encoding of points", ecc.point_octet_format == format(terms.suite))?;
    same("rule for shortening points", ecc.bit_length_after_truncated == TRUNCATED)?;
    let io = response.io_param.as_ref().ok_or(Refusal::Malformed("answer on data"))?;
    let io: PsiDataIoResult = opened(io, IO_RESULT, "answer on data")?;
    same("version of data", io.version == TERMS_VERSION)?;
    same("receiver", io.result_to_rank == receiver(terms))
}

fn same(term: &'static str, same: bool) -> Result<(), Refusal> {
    if same { Ok(()) } else { Err(Refusal::Terms(term)) }
}

/// The parameters of elliptic curves among those of all families.
fn family<'a>(families: &[i32], params: &'a [Any]) -> Result<&'a Any, Refusal> {
    let place = families.iter().position(|family| *family == ECC).ok_or(Refusal::Terms("family of protocols"))?;
    params.get(place).ok_or(Refusal::Malformed("list of parameters"))
}

fn opened<T: Message + Default>(any: &Any, url: &str, what: &'static str) -> Result<T, Refusal> {
    let named = any.type_url.rsplit('/').next() == url.rsplit('/').next();
    named.then(|| T::decode(any.value.clone()).ok()).flatten().ok_or(Refusal::Malformed(what))
}

fn packed(url: &str, message: &impl Message) -> Any {
    Any { type_url: url.into(), value: message.encode_to_vec().into() }
}

fn receiver(terms: &Terms) -> i32 {
    terms.receiver.map_or(BOTH, |rank| rank as i32)
}

/// The numbers of the standard's enumerations.
fn suit(suite: EcSuite) -> EcSuit {
    let (curve, hash, hash2curve_strategy) = match suite {
        EcSuite::X25519 => (1, 11, 3),
        EcSuite::Sm2Rehash => (2, 11, 2),
        EcSuite::Sm2Increment => (2, 1, 1),
    };
    EcSuit { curve, hash, hash2curve_strategy }
}

/// 1: uncompressed, which for Curve25519 is u alone; 2: compressed.
fn format(suite: EcSuite) -> i32 {
    match suite {
        EcSuite::X25519 => 1,
        EcSuite::Sm2Rehash | EcSuite::Sm2Increment => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TERMS: Terms = Terms { suite: EcSuite::X25519, items: 100, items_of_peer: 120, receiver: None };

    fn asked(change: impl FnOnce(&mut HandshakeRequest)) -> Result<(), Refusal> {
        let mut request = request(&TERMS);
        change(&mut request);
        check_request(request.encode_to_vec().into(), &TERMS)
    }

    fn answered(change: impl FnOnce(&mut HandshakeResponse)) -> Result<(), Refusal> {
        let mut response = response(&TERMS, None);
        change(&mut response);
        check_response(response.encode_to_vec().into(), &TERMS)
    }

    #[test]
    fn each_side_agrees_with_the_same_terms_and_with_no_others() {
        assert_eq!(asked(|_| ()), Ok(()));
        assert_eq!(answered(|_| ()), Ok(()));
        assert_eq!(asked(|r| r.version = 1), Err(Refusal::Terms("version")));
        assert_eq!(asked(|r| r.requester_rank = 0), Err(Refusal::Terms("rank")));
        assert_eq!(asked(|r| r.supported_algos = vec![2, 3]), Err(Refusal::Terms("algorithm")));
        assert_eq!(asked(|r| r.protocol_families = vec![2]), Err(Refusal::Terms("family of protocols")));
        assert_eq!(asked(|r| r.protocol_families = vec![2, 1]), Err(Refusal::Malformed("list of parameters")));
        assert_eq!(asked(|r| r.io_param = None), Err(Refusal::Malformed("proposal of data")));
        assert_eq!(answered(|r| r.algo = 2), Err(Refusal::Terms("algorithm")));
        assert_eq!(answered(|r| r.io_param = None), Err(Refusal::Malformed("answer on data")));
        let refused =
            |r: &mut HandshakeResponse| r.header = Some(ResponseHeader { error_code: 7, ..Default::default() });
        assert_eq!(answered(refused), Err(Refusal::Refused(7)));
        let others =
            [Terms { receiver: Some(0), ..TERMS }, Terms { receiver: Some(1), ..TERMS }, Terms { items: 121, ..TERMS }];
        for (terms, term) in others.iter().zip(["receiver", "receiver", "number of rows"]) {
            let got = check_request(request(terms).encode_to_vec().into(), &TERMS);
            assert_eq!(got, Err(Refusal::Terms(term)));
        }
        let whole = EccProtocolResult { bit_length_after_truncated: -1, ..EccProtocolResult::default() };
        let whole = EccProtocolResult { version: 1, ec_suit: Some(suit(TERMS.suite)), point_octet_format: 1, ..whole };
        let got = answered(|r| r.protocol_family_params = vec![packed(ECC_RESULT, &whole)]);
        assert_eq!(got, Err(Refusal::Terms("rule for shortening points")));
        assert_eq!(
            answered(|r| r.protocol_family_params[0].type_url = IO_RESULT.into()),
            Err(Refusal::Malformed("answer on curves"))
        );
    }

    #[test]
    fn a_refusal_carries_the_codes_of_the_standard() {
        let code = |refusal| response(&TERMS, Some(&refusal)).header.unwrap().error_code;
        assert_eq!(code(Refusal::Terms("version")), 31_100_201);
        assert_eq!(code(Refusal::Terms("algorithm")), 31_100_202);
        assert_eq!(code(Refusal::Terms("suite")), 31_100_203);
        assert_eq!(code(Refusal::Malformed("request")), 31_100_200);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_and_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            prop_assert!(check_request(bytes.clone().into(), &TERMS).is_err());
            prop_assert!(check_response(bytes.into(), &TERMS).is_err());
            for mut whole in [request(&TERMS).encode_to_vec(), response(&TERMS, None).encode_to_vec()] {
                let place = at.index(whole.len());
                whole[place] ^= flip;
                let _ = check_request(whole.clone().into(), &TERMS);
                let _ = check_response(whole.into(), &TERMS);
            }
        }
    }
}
