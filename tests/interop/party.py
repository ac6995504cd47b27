"""SecretFlow's side of a joint intersection, as a party that installed its wheel would write it: spu 0.9.2b0.

    python party.py --rank 0 --addresses 127.0.0.1:9540,127.0.0.1:9541 --table ids.csv --result common.csv \\
        --certificates DIR [--curve CURVE_SM2] [--plain-keys] [--chunk 8192]

DIR holds party.crt, party.key and ca.pem. The table has a header with a column `id`. Prints how many ids are common.
"""

from argparse import ArgumentParser

from spu import psi
from spu.libspu import link


def main():
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--addresses", required=True, help="of rank 0 and of rank 1")
    parser.add_argument("--table", required=True)
    parser.add_argument("--result", required=True)
    parser.add_argument("--certificates", required=True)
    parser.add_argument("--curve", default="CURVE_25519")
    parser.add_argument("--plain-keys", action="store_true", help="no sequence in message keys")
    parser.add_argument("--chunk", type=int, help="largest payload of a message in bytes, above 4096")
    flags = parser.parse_args()

    line = link.create_brpc(described(flags), flags.rank)
    report = psi.bucket_psi(line, job(flags), ic_mode=True)
    line.stop_link()
    print(report.intersection_count)


def described(flags):
    desc = link.Desc()
    desc.id = "root"
    desc.brpc_channel_protocol = "h2:grpc"
    desc.recv_timeout_ms = desc.http_timeout_ms = 90_000
    desc.connect_retry_times, desc.connect_retry_interval_ms = 300, 200
    desc.disable_msg_seq_id = flags.plain_keys
    if flags.chunk:
        desc.http_max_payload_size = flags.chunk
    for rank, address in enumerate(flags.addresses.split(",")):
        desc.add_party(f"party-{rank}", address)
    desc.enable_ssl = True
    for side in (desc.client_ssl_opts, desc.server_ssl_opts):
        side.cert.certificate_path = f"{flags.certificates}/party.crt"
        side.cert.private_key_path = f"{flags.certificates}/party.key"
        side.verify.ca_file_path = f"{flags.certificates}/ca.pem"
        side.verify.verify_depth = 1
    return desc


def job(flags):
    return psi.BucketPsiConfig(
        psi_type=psi.PsiType.Value("ECDH_PSI_2PC"),
        curve_type=psi.CurveType.Value(flags.curve),
        broadcast_result=True,
        receiver_rank=0,
        input_params=psi.InputParams(path=flags.table, select_fields=["id"], precheck=True),
        output_params=psi.OutputParams(path=flags.result, need_sort=True),
    )


if __name__ == "__main__":
    main()
